"""Query parameters of lists."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flows.models.instance import InstanceStatus
from tenants.api.fields import MomentField


@extend_schema_field(OpenApiTypes.STR)
class Several(serializers.Field[list[str], str, str, Any]):
    """One or several of a closed set of words, separated by commas."""

    default_error_messages = {
        "invalid": "This has to be a text: one or several words, separated by commas.",
        "invalid_choice": "{word!r} is none of: {words}.",
    }

    def __init__(self, words: Iterable[str], **kwargs: Any) -> None:
        """Take the words that may be asked for."""
        self.words = tuple(words)
        super().__init__(help_text=f"One or several of {', '.join(self.words)}, separated by commas.", **kwargs)

    def to_internal_value(self, data: str) -> list[str]:
        """Split, and refuse what is not in the set."""
        if not isinstance(data, str):
            self.fail("invalid")
        asked = data.split(",")
        for word in asked:
            if word not in self.words:
                self.fail("invalid_choice", word=word, words=", ".join(self.words))
        return asked

    def to_representation(self, value: list[str]) -> str:
        """Join them again."""
        return ",".join(value)


class InstanceFilters(serializers.Serializer[Any]):
    """Which instances to list."""

    status = Several(InstanceStatus.values, required=False)
    participant_id = serializers.CharField(required=False, max_length=255, trim_whitespace=False)
    version = serializers.IntegerField(required=False, min_value=1)
    flow_id = serializers.UUIDField(required=False)
    node_id = serializers.CharField(required=False, max_length=64)
    entered_after = MomentField(required=False)
    entered_before = MomentField(required=False)


def as_query(filters: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters under the names that `flows.queries.instances` knows."""
    names = {"status": "statuses"}
    return {names.get(name, name): value for name, value in filters.items()}
