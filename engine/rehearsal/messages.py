"""The messages of a rehearsal: shown as they would arrive, and heard of as their statuses were chosen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from engine import ports
from engine.moments import iso
from engine.ports import Message, Rehearsed
from engine.rehearsal.plan import Choice
from engine.rehearsal.rehearser import Effect, Rehearser

JSON = dict[str, Any]

# What a message goes through on its way up, and what may end it instead.
LADDER: Final = ("sent", "delivered", "opened", "clicked")
ENDINGS: Final = ("skipped", "failed", "unknown", "bounced", "complained")
STATUSES: Final = (*LADDER, *ENDINGS)
USUAL: Final = "delivered"


def show(effect: Effect, rehearser: Rehearser) -> JSON:
    """Say how a message would look and whether it would be sent at all."""
    message, step = effect.effect, rehearser.step
    rehearsed = Rehearsed(
        message, effect.at, effect.seen, step.preferences, step.entry, step.run,
        rehearser.burst.program.settings.quiet_hours, step.default_timezone, rehearser.is_made_up,
    )  # fmt: skip
    (seen,) = ports.bound().previews.preview_many(step.tenant_id, [rehearsed])
    return {
        "node_id": effect.node_id,
        "channel": message.channel,
        "queued_at": iso(effect.at),
        "sent_at": iso(effect.at),
        "status": "sent",
        "reason": None,
        "recipient": None,
        "template_id": message.payload.get("template_id") or None,
        "locale": None,
        "rendered": {},
        "history": [],
        **seen,
    }


def steps_of(shown: JSON, choice: Choice) -> Iterator[tuple[datetime, str, str]]:
    """Give the statuses of a message after `queued`, each with its moment and its reason."""
    sent_at = datetime.fromisoformat(shown["sent_at"])
    if shown["status"] != "sent":
        yield sent_at, shown["status"], shown["reason"] or ""
        return
    last = choice.delivery or (choice.fails and "failed") or USUAL
    reached = LADDER[: LADDER.index(last) + 1] if last in LADDER else _before(last)
    for status in reached:
        later = choice.after if status == last or status in ("opened", "clicked") else timedelta()
        yield sent_at + later, status, ""
    if last not in LADDER:
        yield sent_at + choice.after, last, choice.reason or choice.fails


def event_of(message: Message, status: str, reason: str) -> tuple[str, JSON]:
    """Give the event by which the run hears of a status."""
    data = {"delivery_id": message.delivery_id, "channel": message.channel, "node_id": message.node_id}
    return f"{message.channel}_{status}", data | ({"reason": reason} if reason else {})


def delivery_of(status: str, before: JSON) -> JSON:
    """Give `{state, opened, clicked}` as nodes read it from this status on."""
    opened = before.get("opened", False) or status in ("opened", "clicked")
    return {"state": status, "opened": opened, "clicked": before.get("clicked", False) or status == "clicked"}


# A message bounces or is complained of after it was sent; whatever else ends one comes instead of that.
def _before(ending: str) -> tuple[str, ...]:
    return ("sent",) if ending in ("bounced", "complained") else ()
