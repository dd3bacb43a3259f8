"""Graphs in bodies and answers."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


@extend_schema_field(OpenApiTypes.OBJECT)
class GraphField(serializers.Field[Any, Any, Any, Any]):
    """A graph as its author wrote it; `flows.graph` says what is wrong with it."""

    def to_internal_value(self, data: Any) -> Any:
        """Take it as it is."""
        return data

    def to_representation(self, value: Any) -> Any:
        """Give it as it is."""
        return value
