"""Gives every request an id: the client's, or a new one."""

import re
from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest, HttpResponse

# Printable ASCII, short enough for a log line and a column.
SANE = re.compile(r"[\x21-\x7e]{1,128}")

GetResponse = Callable[[HttpRequest], HttpResponse]


def middleware(get_response: GetResponse) -> GetResponse:
    """Bind the request's id for logs and events, and answer with it."""

    def handle(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if SANE.fullmatch(given) else uuid4().hex
        structlog.contextvars.clear_contextvars()
        request.request_id = request_id  # type: ignore[attr-defined]  # Django's request is open for it
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = get_response(request)
        response["X-Request-Id"] = request_id
        return response

    return handle
