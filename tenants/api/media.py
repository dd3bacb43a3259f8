"""JSON in and out by orjson, and a negotiation that knows nothing else."""

from collections.abc import Iterable, Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from tenants import jsontext


def _plain(value: Any) -> Any:
    # What orjson does not know: lazy texts, Decimals, durations, all as their text.
    return str(value)


def dumps(value: Any) -> bytes:
    """JSON as the API writes it: times in UTC end in Z."""
    return orjson.dumps(value, _plain, orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


class JSONParser(BaseParser):
    """Bodies as `tenants.jsontext` reads them."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The value of the body."""
        return jsontext.loads(stream.read())


class JSONRenderer(BaseRenderer):
    """Answers as JSON; none for an empty one."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """The bytes of the answer."""
        return b"" if data is None else dumps(data)


class Negotiation(BaseContentNegotiation):
    """Chooses by media type alone: no `?format=`, no file suffix, and nothing in a header can make it stumble."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        """The parser of the body's content type; None is a 415."""
        kind, _, parameters = request.content_type.lower().partition(";")
        if "charset" in parameters and "utf-8" not in parameters and "utf8" not in parameters:
            return None
        return next((parser for parser in parsers if parser.media_type == kind.strip()), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The first renderer that the client accepts."""
        header = request.META.get("HTTP_ACCEPT", "*/*").lower() or "*/*"
        accepted = {part.partition(";")[0].strip() for part in header.split(",") if "q=0" not in part or "q=0." in part}
        for renderer in renderers:
            family = f"{renderer.media_type.partition('/')[0]}/*"
            if not accepted.isdisjoint(("*/*", family, renderer.media_type)):
                return renderer, renderer.media_type
        raise NotAcceptable
