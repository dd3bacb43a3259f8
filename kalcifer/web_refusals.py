"""What gunicorn itself refuses, before any view sees it: in the one shape of errors too."""

import socket
from http import HTTPStatus
from typing import Final
from uuid import uuid4

import structlog
from gunicorn import util

from kalcifer.problems import body_of, problem
from tenants.api.media import dumps

log = structlog.get_logger(__name__)

# What is not here is told as the request that cannot be read.
TOLD: Final[dict[int, tuple[str, str]]] = {
    403: ("permission_denied", "This is not allowed."),
    414: ("uri_too_long", "The address is too long; send fewer or shorter parameters."),
    417: ("expectation_failed", "Send the request without its Expect header."),
    431: ("headers_too_large", "The headers are too large, or too many."),
    500: ("error", "An error of the server's; it is in its log."),
    501: ("not_implemented", "This transfer coding is not known; send the body as it is, or chunked."),
}
UNREADABLE: Final = ("bad_request", "The request cannot be read.")


def write(client: socket.socket, status: int, _reason: str, said: str) -> None:
    """Answer on a connection that is closed afterwards; `said`, gunicorn's own words, is in its log."""
    request_id = uuid4().hex
    extra = {"request_id": request_id} if status >= HTTPStatus.INTERNAL_SERVER_ERROR else {}
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request.failed", reason=said, request_id=request_id)
    body = dumps(body_of(status, [problem(*TOLD.get(status, UNREADABLE))], extra))
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode() + body)
