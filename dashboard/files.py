"""Static files, straight from the folder `static/`: no collecting step, found once at start.

WhiteNoise's own answer streams by a synchronous iterator, which Django under ASGI reads whole in a
thread and complains about. These files are small and few, so they are answered in one piece.
An ETag and Last-Modified make the second visit cheap.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile


class StaticFiles(WhiteNoiseMiddleware):
    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        if found.file is None:
            content = b""
        else:
            with found.file as file:
                content = file.read()
        response = HttpResponse(content, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response
