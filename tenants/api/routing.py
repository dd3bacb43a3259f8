"""`path` as every URL of the API is declared: with a trailing slash it gives the same answer."""

from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase
from django.urls.resolvers import RoutePattern, URLPattern


class OptionalSlash(RoutePattern):
    """A route that also matches with one slash at its end."""

    def match(self, path: str) -> tuple[str, tuple[Any, ...], dict[str, Any]] | None:
        """Match as if the slash were not there."""
        return super().match(path.removesuffix("/"))


def path(route: str, view: Callable[..., HttpResponseBase], name: str | None = None) -> URLPattern:
    """A URL of the API, written without the slash."""
    return URLPattern(OptionalSlash(route, name=name, is_endpoint=True), view, None, name)
