"""Fields that several inputs share."""

from datetime import datetime
from typing import Any

from rest_framework import serializers


class MomentField(serializers.DateTimeField):
    """A moment with its zone: without one nobody could say which is meant."""

    default_error_messages = {"naive": "Write the zone too: 2026-03-01T09:00:00Z or 2026-03-01T09:00:00+01:00."}

    def enforce_timezone(self, value: Any) -> datetime:
        """Refuse what has no zone, where REST framework would take it as UTC."""
        if isinstance(value, datetime) and value.tzinfo is None:
            self.fail("naive")
        return super().enforce_timezone(value)
