"""Customers in the admin: looked at and erased here, changed over REST; topics are edited."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from engine import clock
from flows.admin.pages import Button, FastPage, ReadOnlyPage, WithButtons, pretty
from flows.admin.walks import Walked
from marketing.customers import erasure
from marketing.models import Consent, ConsentChange, Customer, Topic

FOR_GOOD = "Everything that is kept of this person goes, and cannot be brought back. Erase them?"
# The lists that are searched by participant.
ELSEWHERE = (
    ("flows_flowinstance", "runs"),
    ("marketing_delivery", "messages"),
    ("marketing_consentchange", "consents"),
    ("engine_inboundevent", "events"),
)


@admin.register(Customer)
class CustomerAdmin(WithButtons[Customer], ReadOnlyPage[Customer]):
    """What is known of people; a search is for an id, an external id or an exact e-mail address."""

    list_display = ("external_id", "email", "name", "state", "created_at", "tenant")
    list_filter = ("state", "tenant")
    walked = Walked()
    list_select_related = ("tenant",)
    searched = ("external_id", "email")
    fields = (
        "external_id", "email", "phone", "name", "timezone", "locale", "tags", "preferences_text", "properties_text",
        "elsewhere", "state", "merged_into", "last_seen_at", "created_at", "updated_at", "tenant",
    )  # fmt: skip
    readonly_fields = ("preferences_text", "properties_text", "elsewhere")

    @admin.display(description="see")
    def elsewhere(self, customer: Customer) -> SafeString:
        """Lead to what happened with this person."""
        query = urlencode({"q": customer.external_id})
        lists = ((reverse(f"admin:{name}_changelist"), query, told) for name, told in ELSEWHERE)
        return format_html_join(" · ", '<a href="{}?{}">{}</a>', lists)

    @admin.display(description="preferences")
    def preferences_text(self, customer: Customer) -> SafeString:
        """Show what was said of channels and topics."""
        return pretty(customer.preferences)

    @admin.display(description="properties")
    def properties_text(self, customer: Customer) -> SafeString:
        """Show everything else that is known."""
        return pretty(customer.properties)

    def buttons(self) -> tuple[Button[Customer], ...]:
        """Erase the person."""
        return (Button("erase", "Erase for good", _erase, shown=_is_there, sure=FOR_GOOD),)


@admin.register(Topic)
class TopicAdmin(FastPage[Topic]):
    """What customers subscribe to; a search is for an id or a slug."""

    list_display = ("slug", "name", "opt_in", "tenant")
    list_filter = ("opt_in", "tenant")
    list_select_related = ("tenant",)
    searched = ("slug",)
    fields = ("tenant", "slug", "name", "description", "opt_in")

    def get_readonly_fields(self, request: HttpRequest, obj: Topic | None = None) -> Any:
        """Flows name its slug."""
        return ("tenant", "slug") if obj else ()

    def save_model(self, request: HttpRequest, obj: Topic, form: Any, change: Any) -> None:
        """Give a new one its moment."""
        if not change:
            obj.created_at = clock.now()
        super().save_model(request, obj, form, change)


@admin.register(Consent)
class ConsentAdmin(ReadOnlyPage[Consent]):
    """What was agreed to; a search is for a participant."""

    list_display = ("participant_id", "topic", "status", "source", "at", "tenant")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant",)
    searched = ("participant_id",)
    fields = ("participant_id", "topic", "status", "source", "at", "tenant")


@admin.register(ConsentChange)
class ConsentChangeAdmin(ReadOnlyPage[ConsentChange]):
    """How that came about, never changed; a search is for a participant."""

    list_display = ("participant_id", "channel", "topic", "before", "after", "source", "actor", "at", "tenant")
    list_filter = ("tenant",)
    list_select_related = ("tenant",)
    searched = ("participant_id",)
    fields = ("participant_id", "channel", "topic", "before", "after", "source", "actor", "at", "tenant")


def _erase(customer: Customer, actor: str) -> str:
    erasure.request(customer.tenant, customer.external_id, actor=actor)
    return "The customer is being erased."


def _is_there(customer: Customer) -> bool:
    return customer.state == Customer.State.ACTIVE
