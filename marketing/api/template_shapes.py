"""What the calls for templates take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from marketing.models import CHANNELS, Template, TemplateVersion

SLUG = r"^[A-Za-z0-9_.\-]{1,64}$"


class LiquidField(serializers.CharField):
    """A wording, to the character; a number is none."""

    def __init__(self) -> None:
        super().__init__(allow_blank=True, trim_whitespace=False)

    def to_internal_value(self, data: Any) -> str:
        """Texts alone."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WordingInput(serializers.Serializer[Any]):
    """What a template says: Liquid by part, and the parts that differ by locale."""

    name = serializers.CharField(max_length=255, required=False)
    content = serializers.DictField(child=LiquidField())
    locales = serializers.DictField(
        child=serializers.DictField(child=LiquidField()),
        required=False,
    )


class TemplateInput(WordingInput):
    """A new template."""

    template_id = serializers.RegexField(SLUG, max_length=64)
    channel = serializers.ChoiceField(choices=CHANNELS)


class TemplatePatch(serializers.Serializer[Any]):
    """Another name, or another version in use, or another wording."""

    name = serializers.CharField(max_length=255, required=False)
    version = serializers.IntegerField(min_value=1, max_value=2_147_483_647, required=False)
    content = serializers.DictField(child=LiquidField(), required=False)
    locales = WordingInput().fields["locales"]


class TemplateShape(serializers.Serializer[Any]):
    """A template in the version that is in use."""

    id = serializers.UUIDField()
    template_id = serializers.CharField()
    name = serializers.CharField()
    channel = serializers.ChoiceField(choices=CHANNELS)
    version = serializers.IntegerField()
    content = serializers.DictField(child=serializers.CharField())
    locales = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    variables = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TemplateSummary(serializers.Serializer[Template]):
    """A template in a list."""

    id = serializers.UUIDField()
    template_id = serializers.CharField(source="slug")
    name = serializers.CharField()
    channel = serializers.ChoiceField(choices=CHANNELS)
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TemplateVersionShape(serializers.Serializer[TemplateVersion]):
    """One wording; it never changes."""

    number = serializers.IntegerField()
    content = serializers.DictField(child=serializers.CharField())
    locales = serializers.DictField(child=serializers.DictField(child=serializers.CharField()))
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class TemplatePreviewInput(serializers.Serializer[Any]):
    """For whom, with what, and perhaps another wording than the stored one."""

    participant_id = serializers.CharField(max_length=255, required=False)
    participant = serializers.DictField(required=False)
    vars = serializers.DictField(required=False)
    entry = serializers.DictField(required=False)
    event = serializers.DictField(required=False)
    locale = serializers.CharField(max_length=35, required=False, allow_blank=True)
    version = serializers.IntegerField(min_value=1, max_value=2_147_483_647, required=False)
    content = serializers.DictField(child=LiquidField(), required=False)
    locales = WordingInput().fields["locales"]


class TemplatePreviewShape(serializers.Serializer[Any]):
    """The message as it would be sent."""

    locale = serializers.CharField()
    rendered = serializers.DictField(child=serializers.CharField())
