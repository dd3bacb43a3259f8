"""What flows can be made of."""

from typing import Any, Final
from urllib.parse import urlencode

from rest_framework import serializers
from rest_framework.response import Response

from engine.nodes import registry
from engine.nodes.base import Category, RunsAs
from tenants.api import pagination
from tenants.api.base import TenantRequest, TenantView
from tenants.errors import InvalidCursor

WHOLE: Final = 500
MAX_POSITION: Final = 1_000_000


class NodeTypesView(TenantView):
    """The catalogue of node types."""

    paginated = True

    class Output(serializers.Serializer[Any]):
        """A node type: its words, its branches and the schema of its config."""

        type = serializers.CharField()
        category = serializers.ChoiceField([str(each) for each in Category])
        title = serializers.CharField()
        description = serializers.CharField()
        branches = serializers.ListField(child=serializers.CharField())
        runs_as = serializers.ChoiceField([str(each) for each in RunsAs])
        config_schema = serializers.DictField()
        result_schema = serializers.DictField()

    def get(self, request: TenantRequest) -> Response:
        """List all node types by category and name; on one page, unless `page_size` says otherwise."""
        types = registry.catalogue()
        query = request.query_params
        size = pagination.page_size(query["page_size"]) if "page_size" in query else WHOLE
        start = _start(types, query.get("cursor"))
        return Response(
            {
                "next": _link(request, start + size if start + size < len(types) else None),
                "previous": _link(request, max(0, start - size) if start else None),
                "results": types[start : start + size],
            }
        )


# The catalogue changes only with the process, so that a position will do.
def _start(types: list[Any], cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < len(str(MAX_POSITION))):
        raise InvalidCursor(attr="cursor")
    return min(int(cursor), len(types))


def _link(request: TenantRequest, start: int | None) -> str | None:
    if start is None:
        return None
    parameters = {**request.query_params.dict(), "cursor": str(start)}
    return request.build_absolute_uri(f"{request.path}?{urlencode(parameters)}")
