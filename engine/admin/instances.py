"""What the engine puts on the pages of instances: its verbs, why each stands where it stands, its story and its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from engine import operations, queries, why
from engine.admin.pages import Many, act_on_many, reason_of
from engine.compensation import verbs
from engine.message_story import Storyteller
from engine.models import StoredEvent
from flows.admin.instances import add_action, add_button, add_section
from flows.admin.pages import Button, moment
from flows.models import FlowInstance
from flows.models.instance import InstanceStatus as Status

# So many events, the newest, are on the page; the log has them all.
SHOWN = 200
TABLE = "<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>{}"


def _in(*statuses: str) -> Callable[[FlowInstance], bool]:
    return lambda instance: instance.status in statuses


def _button(verb: Callable[..., FlowInstance], label: str, said: str, *statuses: str) -> Button[FlowInstance]:
    def press(instance: FlowInstance, by: str, reason: str) -> str:
        verb(instance, reason=reason.strip(), actor=by)
        return said

    return Button(label.lower().replace(" ", "-"), label, press, _in(*statuses), asks="reason")


def _action(verb: Many, name: str) -> Any:
    def act(page: Any, request: HttpRequest, chosen: QuerySet[FlowInstance]) -> None:
        act_on_many(page, request, chosen, of=("instances", name), verb=verb, params={"reason": reason_of(request)})

    act.__name__ = name
    return admin.action(description=f"{name.capitalize()} the selected instances")(act)


def show_why(instance: FlowInstance) -> SafeString:
    """Say why the instance stands where it stands."""
    told = ((each["detail"], each["wakes_on"] or "nothing") for each in why.why(instance)["causes"])
    return format_html_join("", "<p>{} <em>What moves it: {}.</em></p>", told)


def show_timeline(instance: FlowInstance) -> SafeString:
    """Tell the run as a story."""
    story = Storyteller(instance)
    entries = [story.tell(each) for each in _newest(queries.timeline(instance))]
    rows = format_html_join(
        "",
        '<tr><td class="moment">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>',
        ((moment(each["at"]), each["title"], each["detail"], each["actor"] or "") for each in entries),
    )
    return _table(("at", "what", "more", "by"), rows, "")


def show_events(instance: FlowInstance) -> SafeString:
    """List the stored events."""
    found = _newest(queries.events(instance))
    rows = format_html_join(
        "",
        '<tr><td>{}</td><td class="moment">{}</td><td>{}</td><td><code>{}</code></td><td>{}</td></tr>',
        (
            (
                each.sequence,
                moment(each.recorded_at),
                each.type,
                orjson.dumps(each.data).decode(),
                each.metadata.get("actor", ""),
            )
            for each in found
        ),
    )
    address = f"{reverse('admin:engine_storedevent_changelist')}?q={instance.pk}"
    every = format_html('<p><a href="{}">All events</a></p>', address)
    table = _table(("n", "at", "type", "data", "by"), rows, every)
    return format_html("<details><summary>{} of them, as they are stored</summary>{}</details>", len(found), table)


def _newest(events: QuerySet[StoredEvent]) -> list[StoredEvent]:
    return list(events.order_by("-sequence")[:SHOWN])[::-1]


def _table(titles: tuple[str, ...], rows: SafeString, after: SafeString | str) -> SafeString:
    return format_html(TABLE, format_html_join("", "<th>{}</th>", ((title,) for title in titles)), rows, after)


MOVING = (Status.RUNNING, Status.WAITING)

add_button(_button(operations.pause, "Pause", "It stands still until it is resumed.", *MOVING))
add_button(_button(operations.resume, "Resume", "It goes on; what became due meanwhile runs now.", Status.PAUSED))
add_button(_button(operations.retry, "Retry", "It runs again from the node that failed.", Status.FAILED))
add_button(_button(operations.cancel, "Cancel", "It has ended here.", *MOVING, Status.PAUSED))
ROLLS_BACK = (Status.FAILED, Status.EXITED, Status.COMPENSATION_FAILED)
add_button(_button(verbs.compensate, "Roll back", "What it did is being undone.", *ROLLS_BACK))
for _verb, _name in (
    (operations.cancel_many, "cancel"),
    (operations.pause_many, "pause"),
    (operations.resume_many, "resume"),
    (operations.retry_many, "retry"),
):
    add_action(_action(_verb, _name))
add_section("Why it stands here", show_why)
add_section("Timeline", show_timeline)
add_section("Events", show_events)
