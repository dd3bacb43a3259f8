"""Messages in the admin: what was sent to whom, what became of it, and a button to send it once more."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flows.admin.pages import Button, ReadOnlyPage, WithButtons, moment, pretty
from flows.admin.walks import Walked, among
from marketing.deliveries import resending
from marketing.deliveries.resending import RESENDABLE
from marketing.models import CHANNELS, Delivery

CLASSES = ("transactional", "service", "marketing")
# What a list has no use for; messages are large.
HEAVY = ("rendered", "history", "payload")


@admin.register(Delivery)
class DeliveryAdmin(WithButtons[Delivery], ReadOnlyPage[Delivery]):
    """What was sent; a search is for the id of a message or of a run, or for a participant."""

    list_display = ("created_at", "participant_id", "channel", "status", "reason", "recipient", "template_id", "tenant")
    list_display_links = ("created_at", "participant_id")
    list_filter = ("status", ("channel", among(*CHANNELS)), ("message_class", among(*CLASSES)), "tenant")
    walked = Walked("status")
    list_select_related = ("tenant",)
    ids = ("id", "instance_id")
    searched = ("participant_id",)
    fields = (
        "status", "reason", "channel", "provider", "participant_id", "recipient", "history_table", "words", "run_link",
        "node_id", "message_class", "topic", "template_id", "template_version", "payload_text", "key",
        "provider_message_id", "attempts", "created_at", "due_at", "expires_at", "sent_at", "read_at", "resend_link",
        "tenant",
    )  # fmt: skip
    readonly_fields = ("history_table", "words", "run_link", "payload_text", "resend_link")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Leave the words out of lists."""
        return super().get_queryset(request).defer(*HEAVY)

    @admin.display(description="history")
    def history_table(self, delivery: Delivery) -> SafeString:
        """Show what happened, oldest first."""
        rows = ((moment(each.get("at")), each.get("status", ""), each.get("detail", "")) for each in delivery.history)
        return format_html("<table>{}</table>", format_html_join("", _ROW, rows))

    @admin.display(description="as it was written")
    def words(self, delivery: Delivery) -> SafeString:
        """Show each part as text: what was sent is not run in here."""
        parts = (delivery.rendered or {}).items()
        return format_html("<dl>{}</dl>", format_html_join("", "<dt>{}</dt><dd><pre>{}</pre></dd>", parts))

    @admin.display(description="what its node said")
    def payload_text(self, delivery: Delivery) -> SafeString:
        """Show what was queued."""
        return pretty(delivery.payload)

    @admin.display(description="run")
    def run_link(self, delivery: Delivery) -> SafeString | str:
        """Lead to the run."""
        if delivery.instance_id is None:
            return "none"
        address = reverse("admin:flows_flowinstance_change", args=(delivery.instance_id,))
        return format_html('<a href="{}">{}</a>', address, delivery.instance_id)

    @admin.display(description="sent once more from")
    def resend_link(self, delivery: Delivery) -> SafeString | str:
        """Lead to the message that this one repeats."""
        if delivery.resend_of is None:
            return "none"
        address = reverse("admin:marketing_delivery_change", args=(delivery.resend_of,))
        return format_html('<a href="{}">{}</a>', address, delivery.resend_of)

    def buttons(self) -> tuple[Button[Delivery], ...]:
        """Send it once more."""
        return (Button("resend", "Send once more", _resend, shown=_may_be_resent),)


_ROW = '<tr><td class="moment">{}</td><td>{}</td><td>{}</td></tr>'


def _resend(delivery: Delivery, actor: str) -> str:
    return f"It is sent once more, as {resending.resend(delivery, actor=actor).pk}."


def _may_be_resent(delivery: Delivery) -> bool:
    return delivery.status in RESENDABLE
