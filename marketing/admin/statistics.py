"""Messages and conversions: in figures on the page of a flow, and one by one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from engine.admin.statistics import percent, table
from engine.analytics.period import DAYS, Period
from flows.admin.flows import add_section
from flows.admin.pages import ReadOnlyPage, pretty
from flows.admin.walks import Walked
from flows.models import Flow
from marketing.models import Conversion, Tally
from marketing.tallies import reading

JSON = dict[str, Any]

COUNTED = ("queued", "sent", "delivered", "opened", "clicked", "bounced", "complained", "skipped", "failed")
MESSAGE_TITLES = ("node", "channel", *COUNTED, "opened %", "clicked %", "conversions")
GOAL_TITLES = ("goal", "conversions", "by a click", "by a message", "by none", "worth", "kept out")


def show_messages(flow: Flow) -> SafeString:
    """Show what became of the messages of the last days, and what was reached."""
    period = Period.of()
    sent = table(MESSAGE_TITLES, map(_message, reading.messages(flow, period)))
    reached = table(GOAL_TITLES, map(_goal, reading.conversions(flow, period)))
    return format_html("<p>The last {} days (UTC). Messages:</p>{}<p>Conversions:</p>{}", DAYS, sent, reached)


def _message(found: JSON) -> list[Any]:
    rates = [percent(found["rates"][name]) for name in ("opened", "clicked")]
    return [found["node_id"], found["channel"], *(found[name] for name in COUNTED), *rates, found["conversions"]]


def _goal(found: JSON) -> list[Any]:
    worth = ", ".join(f"{each['value'].normalize():f} {each['currency']}".strip() for each in found["revenue"])
    return [
        found["goal"],
        found["conversions"],
        *(found["attributed"][name] for name in ("click", "send", "none")),
        worth,
        found["held_out"],
    ]


add_section("Messages and conversions", show_messages)


@admin.register(Conversion)
class ConversionAdmin(ReadOnlyPage[Conversion]):
    """Goals that runs have reached; a search is for its id, or that of a run."""

    list_display = ("name", "participant_id", "value", "currency", "variant", "attributed_by", "at", "tenant")
    list_filter = ("tenant",)
    walked = Walked()
    list_select_related = ("tenant",)
    ids = ("id", "instance_id")
    fields = (
        "name", "participant_id", "flow_id", "version", "instance_id", "value", "currency", "variant", "attributed_to",
        "attributed_by", "metadata_text", "at", "tenant",
    )  # fmt: skip
    readonly_fields = ("metadata_text",)

    @admin.display(description="metadata")
    def metadata_text(self, conversion: Conversion) -> SafeString:
        """Show what else was kept."""
        return pretty(conversion.metadata)


@admin.register(Tally)
class TallyAdmin(ReadOnlyPage[Tally]):
    """What is counted of messages and conversions; a search is for the id of a flow."""

    list_display = ("day", "flow_id", "version", "node_id", "subject", "kind", "key", "n", "is_total")
    ids = ("flow_id",)
