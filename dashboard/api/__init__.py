"""The HTTP API: `/api/v1`, and the health addresses at the root. One module a resource.

Promises: every answer below `/api/v1` is JSON, errors always `{"error", "detail", "field"}`;
every route says which scope it needs; nothing is shown to a request without a key or a session.
Never changes rows itself: that is done by the actions and the gate of `queueapp`.
"""
