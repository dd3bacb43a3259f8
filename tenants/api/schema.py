"""What drf-spectacular says of every view: its security, parameters, pages and refusals.

A view's inner class `Input` is its request (POST, PUT, PATCH) and `Output` its answer: 201 for POST, none for DELETE,
else 200; one row of the page when the view is `paginated`. `@extend_schema(request=…, responses={202: …})` says
otherwise.
"""

import re
from copy import deepcopy
from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, build_parameter_type
from drf_spectacular.utils import OpenApiParameter
from rest_framework.serializers import ListSerializer

PROBLEM: Final = {
    "type": "object",
    "required": ["code", "detail", "attr"],
    "properties": {
        "code": {"type": "string", "description": "Stable; listed in docs/reference/errors.md."},
        "detail": {"type": "string", "description": "What is wrong and what to do."},
        "attr": {"type": "string", "nullable": True, "description": "The path of the field to blame."},
        "node_id": {"type": "string", "nullable": True, "description": "The node to blame, where a graph is refused."},
    },
}
ERRORS: Final = {
    "type": "object",
    "required": ["type", "errors"],
    "properties": {
        "type": {"type": "string", "enum": ["validation_error", "client_error", "server_error"]},
        "errors": {"type": "array", "minItems": 1, "items": PROBLEM},
        "request_id": {"type": "string", "description": "Finds a server error in the log."},
        "instance_id": {"type": "string", "format": "uuid", "description": "The instance that is in the way."},
    },
}
REFUSALS: Final = {
    "400": "The request is not valid.",
    "404": "There is no such object, or it belongs to another tenant.",
    "406": "Answers are JSON.",
    "500": "An error of the server's; nothing was changed.",
    "503": "The database is away or busy; nothing was changed. Retry-After says when to try again.",
}
OF_KEYS: Final = {
    "401": "The API key is missing, unknown, expired or revoked.",
    "403": "The key's role does not allow this.",
    "429": "The tenant's requests per second are used up. Retry-After says when to try again.",
}
OF_WRITES: Final = {
    "409": "The present state does not allow this.",
    "413": "The body is too large.",
    "415": "Bodies are JSON.",
}
OF_POSTS: Final = {"422": "The Idempotency-Key was used for another request."}


class CursorPages:
    """The shape of a page, as drf-spectacular asks a paginator for it."""

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """The parameters of every list."""
        return [
            build_parameter_type(name="cursor", schema={"type": "string"}, location="query"),
            build_parameter_type(
                name="page_size",
                schema={"type": "integer", "minimum": 1, "maximum": 500, "default": 50},
                location="query",
            ),
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The envelope of every list."""
        url = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": url, "previous": url, "results": schema},
        }


class KalciferSchema(AutoSchema):
    """The operation of a view, read from what the view declares."""

    def get_request_serializer(self) -> Any:
        """The view's `Input`."""
        return getattr(self.view, "Input", None)

    def get_response_serializers(self) -> Any:
        """The view's `Output`, by the method's usual status."""
        output = getattr(self.view, "Output", None)
        if self.method == "DELETE":
            return {204: None}
        return {201 if self.method == "POST" else 200: output}

    def get_override_parameters(self) -> list[Any]:
        """The filters of a list, and the Idempotency-Key of every POST with a key."""
        if self.method == "GET":
            pages = CursorPages().get_schema_operation_parameters(self.view) if self._is_page() else []
            filters = getattr(self.view, "Filters", None)
            return [*([filters] if filters is not None and filters().fields else []), *map(_as_parameter, pages)]
        if self.method == "POST" and self.view.authentication_classes:
            about = "For 24 hours the same key and request gets the stored answer, with Idempotent-Replayed: true."
            return [OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, description=about)]
        return []

    def get_summary(self) -> str:
        """The first sentence of what the view says of itself, for lists of operations."""
        return re.split(r"[.;:](?:\s|$)", self.get_description(), maxsplit=1)[0].replace("\n", " ")

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """With the names of the classes around it: every view has an `Input`."""
        return type(serializer).__qualname__.replace("View.", ".").replace(".", "")

    def _is_page(self) -> bool:
        return self.method == "GET" and getattr(self.view, "paginated", False)

    # A plain list is told by `many=True`.
    def _is_list_view(self, serializer: Any = None) -> bool:
        return self._is_page() or isinstance(serializer, ListSerializer)

    def _get_paginator(self) -> CursorPages | None:
        return CursorPages() if self._is_page() else None

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        found = super()._get_response_bodies(direction)
        # A copy: drf-spectacular moves enumerations out of what it is given.
        component = ResolvedComponent("Errors", ResolvedComponent.SCHEMA, deepcopy(ERRORS), "Errors")  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(component)
        content = {"application/json": {"schema": component.ref}}
        for status, description in self._refusals().items():
            found.setdefault(status, {"description": description, "content": content})
        return dict(sorted(found.items()))

    def _refusals(self) -> dict[str, str]:
        found = dict(REFUSALS)
        if self.view.authentication_classes:
            found |= OF_KEYS
        if self.method in {"POST", "PUT", "PATCH", "DELETE"}:
            found |= OF_WRITES
        if self.method == "POST":
            found |= OF_POSTS
        return found


def _as_parameter(found: dict[str, Any]) -> OpenApiParameter:
    return OpenApiParameter(found["name"], found["schema"], OpenApiParameter.QUERY)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # its registration has no types
    """The security scheme of the API."""

    target_class = "tenants.authentication.BearerAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """A key in the Authorization header."""
        return {"type": "http", "scheme": "bearer", "description": "An API key of a tenant."}
