"""What looks at the queue from outside and tells people: diagnosis, blocklists, alerts and how they are sent.

Runs in a process of its own (`manage.py watch`, the part `watch` of `up`). Promises: it reads the queue and
changes nothing in it; it needs no worker and no Redis. Never: imports the engine or a way in, so that the
alarm works where the queue does not.
"""
