"""The column of JSON that every app uses."""

from typing import Any

import orjson
from django.db import models


class JSONField(models.JSONField):
    """
    JSON that comes back as it was sent.

    PostgreSQL keeps 1e300 as a whole number of 301 digits. Read as one, it would fit into no answer; orjson reads what
    has more than 64 bits as the double that it was.
    """

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Read the column's text; a part of it that is no text is read already."""
        return orjson.loads(value) if isinstance(value, str) else value

    def deconstruct(self) -> Any:
        """To migrations it is Django's own field: the column is the same."""
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs
