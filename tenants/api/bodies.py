"""Reads the body of a request up to a limit, whether or not its length was announced."""

from collections.abc import Iterator
from typing import Final

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from tenants.errors import BodyTooLarge, InvalidInput

MIB: Final = 1024 * 1024


def read(request: HttpRequest, limit: int) -> bytes:
    """The whole body; `BodyTooLarge` as soon as it is known to be longer than `limit`. May be called again."""
    kept = getattr(request, "_body", None)
    if kept is not None:
        return _within(kept, limit)
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = -1
    if announced < 0:
        raise InvalidInput("The header Content-Length is not a whole number.")
    if announced > limit:
        raise _too_large(limit)
    try:
        body = _take(request, limit + 1)
    except (UnreadablePostError, OSError) as error:
        raise InvalidInput("The connection ended before the whole body had arrived.") from error
    if len(body) < announced:
        raise InvalidInput("The connection ended before the whole body had arrived.")
    # From here on Django and REST framework find the body where they would have put it themselves.
    request._body = _within(body, limit)  # noqa: SLF001
    setattr(request, "_read_started", True)  # noqa: B010  # the stubs do not know it
    request.META["CONTENT_LENGTH"] = str(len(body))
    return body


def stream(request: HttpRequest, limit: int) -> Iterator[bytes]:
    """The body piece by piece, never as a whole; `BodyTooLarge` as soon as it is longer than `limit`."""
    try:
        missing = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        missing = -1
    if missing < 0:
        raise InvalidInput("The header Content-Length is not a whole number.")
    if missing > limit:
        raise _too_large(limit)
    got = 0
    while piece := _piece(request):
        got += len(piece)
        if got > limit:
            raise _too_large(limit)
        yield piece
    if got < missing:
        raise InvalidInput("The connection ended before the whole body had arrived.")


def _piece(request: HttpRequest) -> bytes:
    environ = getattr(request, "environ", {})
    chunked = not request.META.get("CONTENT_LENGTH") and environ.get("wsgi.input_terminated")
    try:
        return bytes(environ["wsgi.input"].read(MIB) if chunked else request.read(MIB))
    except (UnreadablePostError, OSError) as error:
        raise InvalidInput("The connection ended before the whole body had arrived.") from error


def _take(request: HttpRequest, size: int) -> bytes:
    # Django takes a missing length for an empty body; servers that end the input themselves (chunked) say so.
    if "CONTENT_LENGTH" in request.META and request.META["CONTENT_LENGTH"] != "":
        return bytes(request.read(size))
    environ = getattr(request, "environ", {})
    if not environ.get("wsgi.input_terminated"):
        return bytes(request.read(size))
    parts, missing = [], size
    while missing > 0 and (part := environ["wsgi.input"].read(missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> BodyTooLarge:
    size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit} bytes"
    return BodyTooLarge(f"The body is larger than {size}, which is the most that this call accepts.")
