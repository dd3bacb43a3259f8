"""What the calls for keys and secrets take and give."""

from datetime import datetime
from typing import Any

from django.utils.timezone import now
from rest_framework import serializers

from tenants.api.fields import MomentField
from tenants.models import ApiKey, Role, Secret

NAME_PATTERN = r"^[A-Za-z0-9_.\-]{1,255}$"
MAX_SECRET_LENGTH = 65_536


class KeyInput(serializers.Serializer[Any]):
    """A new key."""

    name = serializers.CharField(max_length=255, required=False, allow_blank=True)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.EDITOR)
    expires_at = MomentField(required=False, allow_null=True)

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        """A key that has expired already is a mistake."""
        if value is not None and value <= now():
            raise serializers.ValidationError("This has to be in the future.", "in_the_past")
        return value


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key without its secret part."""

    class Meta:
        model = ApiKey
        fields = ("id", "name", "prefix", "role", "expires_at", "revoked_at", "last_used_at", "created_at")
        read_only_fields = fields


class IssuedKeySerializer(KeySerializer):
    """A key with its raw text, which is given this once."""

    api_key = serializers.CharField(read_only=True)

    class Meta(KeySerializer.Meta):
        fields = (*KeySerializer.Meta.fields, "api_key")  # type: ignore[assignment]  # one more than the base has
        read_only_fields = fields  # type: ignore[assignment]  # as above


class SecretValue(serializers.Serializer[Any]):
    """The new value of a secret."""

    value = serializers.CharField(max_length=MAX_SECRET_LENGTH, trim_whitespace=False)


class SecretInput(SecretValue):
    """A new secret."""

    name = serializers.RegexField(NAME_PATTERN, max_length=255)


class SecretSerializer(serializers.ModelSerializer[Secret]):
    """A secret without its value, which nobody gets back."""

    class Meta:
        model = Secret
        fields = ("name", "created_at", "updated_at")
        read_only_fields = fields
