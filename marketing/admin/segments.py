"""Segments in the admin: the same checks as over REST, a preview, and a look at who is in them."""

from __future__ import annotations

import json
from typing import Any

import orjson
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engine import clock
from flows.admin.pages import Button, Indented, ReadOnlyPage, WithButtons, pretty, wide
from marketing.models import Segment, SegmentDue, SegmentMember
from marketing.segments import catalog, evaluation
from tenants.admin_pages import Form
from tenants.errors import Invalid

SAMPLE = 10
GIVEN = ("slug", "name", "description", "type", "rule")
CHANGED = ("name", "description", "rule")


class TextDecoder(json.JSONDecoder):
    """Takes no half of a surrogate pair, which neither the database nor the page could show again."""

    def decode(self, s: str, *args: Any) -> Any:
        """Read the JSON, or raise JSONDecodeError."""
        found = super().decode(s, *args)
        try:
            orjson.dumps(found)
        except TypeError as error:
            raise json.JSONDecodeError(str(error), s, 0) from error
        return found


class SegmentForm(Form[Segment]):
    """A segment; an empty rule is everybody."""

    rule = forms.JSONField(
        required=False,
        encoder=Indented,
        decoder=TextDecoder,
        widget=wide(12),
        help_text='Such as {"path": "participant.plan", "op": "eq", "value": "pro"} or '
        '{"event": "ordered", "did": false, "within": "90d"}; '
        'several in {"all": […]} or {"any": […]}. None for a static segment.',
    )

    class Meta:
        model = Segment
        fields = ("tenant", *GIVEN)

    def clean_slug(self) -> str:
        """What a slug may be."""
        slug: str = self.cleaned_data["slug"]
        if not catalog.SLUG.fullmatch(slug):
            raise ValidationError("Letters, digits, and . _ - between them.")
        return slug

    def clean(self) -> dict[str, Any] | None:
        """Name the place of a mistake in the rule."""
        found = super().clean()
        kind = self.cleaned_data.get("type") or self.instance.type
        try:
            # To Django's field `{}` is nothing; to a segment it is everybody.
            if self.data.get("rule", "").strip() == "{}":
                self.cleaned_data["rule"] = {}
            catalog.check_rule(kind, self.cleaned_data.get("rule"))
        except Invalid as refusal:
            for problem in refusal.problems:
                self.add_error("rule", f"{problem.attr}: {problem.detail}")
        return found


@admin.register(Segment)
class SegmentAdmin(WithButtons[Segment]):
    """Groups of customers; a search is for an id or a slug."""

    form = SegmentForm
    list_display = ("slug", "name", "type", "member_count", "evaluated_at", "tenant")
    list_filter = ("type", "tenant")
    list_select_related = ("tenant",)
    searched = ("slug",)
    fields = ("tenant", *GIVEN, "members_link", "evaluated_at", "reads_text")
    readonly_fields = ("members_link", "evaluated_at", "reads_text")

    @admin.display(description="members")
    def members_link(self, segment: Segment) -> SafeString | str:
        """Count the members, and lead to them."""
        if segment._state.adding:  # noqa: SLF001  # Django's way to tell
            return "none"
        address = f"{reverse('admin:marketing_segmentmember_changelist')}?segment__id__exact={segment.pk}"
        return format_html('<a href="{}">{}</a>', address, segment.member_count)

    @admin.display(description="looked at again when these change")
    def reads_text(self, segment: Segment) -> SafeString:
        """Show what the rule reads."""
        return pretty(segment.reads)

    def buttons(self) -> tuple[Button[Segment], ...]:
        """Try the rule, and look at everybody again."""
        return (
            Button("preview", "Preview", _preview, shown=_is_dynamic),
            Button("evaluate", "Evaluate again", _evaluate, shown=_is_dynamic),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Segment | None = None) -> Any:
        """Flows name its slug, and its members are what they are by its type."""
        return (*self.readonly_fields, "tenant", "slug", "type") if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: Any) -> None:
        """Save by the verbs, which have it evaluated."""
        given = {name: form.cleaned_data[name] for name in (CHANGED if change else GIVEN)}
        made = catalog.change(obj, given) if change else self._create(obj, given)
        obj.__dict__.update(made.__dict__)

    def _create(self, obj: Segment, given: dict[str, Any]) -> Segment:
        return catalog.create(obj.tenant, given)


@admin.register(SegmentMember)
class SegmentMemberAdmin(ReadOnlyPage[SegmentMember]):
    """Who is in which segment; a search is for the id of a segment or of a customer."""

    list_display = ("customer", "segment", "since", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant", "customer", "segment")
    ids = ("segment_id", "customer_id")
    fields = ("customer", "segment", "since", "tenant")
    sortable_by = ()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The page of a segment leads here."""
        return lookup == "segment__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]  # Django hands the request in


@admin.register(SegmentDue)
class SegmentDueAdmin(ReadOnlyPage[SegmentDue]):
    """Who is looked at again, and when; a search is for a participant."""

    list_display = ("participant_id", "segment", "due_at", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant", "segment")
    ids = ("segment_id",)
    searched = ("participant_id",)
    fields = ("participant_id", "segment", "due_at", "reads_text", "tenant")
    readonly_fields = ("reads_text",)
    sortable_by = ()

    @admin.display(description="what has changed")
    def reads_text(self, row: SegmentDue) -> SafeString:
        """Show what has changed."""
        return pretty(row.reads)


def _is_dynamic(segment: Segment) -> bool:
    return segment.type == Segment.Type.DYNAMIC


def _preview(segment: Segment, actor: str) -> str:
    count, sample = evaluation.preview(segment.tenant_id, catalog.read_rule(segment.rule), clock.now(), sample=SAMPLE)
    return f"{count} customers match now, such as {', '.join(sample)}." if count else "Nobody matches now."


def _evaluate(segment: Segment, actor: str) -> str:
    catalog.evaluate(segment)
    return "Everybody is looked at again in the background."
