"""When a journey lets its audience in: a schedule of its flow, which runs while the journey is launched."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from engine import clock, schedules
from engine.models import FlowSchedule
from marketing.journeys.audiences import PREFIX
from marketing.models import Journey, JourneyStatus
from tenants.errors import Invalid, Problem

JSON = dict[str, Any]

# What a schedule is made of; what is not given is empty.
PARTS: Final[dict[str, Any]] = {"cron": "", "every": "", "at": None, "context": {}}
LAUNCHED: Final = (JourneyStatus.ACTIVE, JourneyStatus.PAUSED)


def put(journey: Journey, given: JSON | None) -> None:
    """Give a stored journey another schedule, or none; the journey itself is saved by the caller."""
    if given is not None and not (given.get("kind") or given.get("launch_at")):
        detail = "Say when: a kind (cron, interval, once) for the audience, or launch_at for the launch."
        raise Invalid([Problem("required", detail, "schedule.kind")])
    given = given or {}
    journey.launch_at = _launch_at(journey, given.get("launch_at"))
    journey.include_existing = given.get("include_existing") if journey.launch_at else None
    journey.launch_error = None
    if given.get("kind"):
        journey.schedule = _stored(journey, given)
    else:
        drop(journey)


def drop(journey: Journey) -> None:
    """Take the schedule of a journey away."""
    schedule, journey.schedule = journey.schedule, None
    if schedule is not None:
        schedule.delete()


def switch(journey: Journey, *, on: bool) -> None:
    """Let the schedule run, or rest; Invalid where its only moment has passed."""
    if journey.schedule is not None:
        try:
            journey.schedule = schedules.change(journey.schedule, enabled=on)
        except Invalid as error:
            raise error.below("schedule") from error


def _launch_at(journey: Journey, at: datetime | None) -> datetime | None:
    if at is None:
        return None
    if journey.status != JourneyStatus.DRAFT:
        detail = f"The journey is {journey.status}: it has been launched already."
        raise Invalid([Problem("invalid", detail, "schedule.launch_at")])
    if at <= clock.now():
        raise Invalid([Problem("in_the_past", "This time has passed.", "schedule.launch_at")])
    return at


def _stored(journey: Journey, given: JSON) -> FlowSchedule:
    if journey.audience is None:
        raise Invalid([Problem("required", "A schedule lets the audience in: name one.", "audience")])
    parts = {name: given.get(name) or empty for name, empty in PARTS.items()}
    facts = {
        **parts,
        "kind": given["kind"],
        "timezone": given.get("timezone") or journey.tenant.timezone,
        "enabled": journey.status in LAUNCHED,
    }
    try:
        if journey.schedule is not None:
            return schedules.change(journey.schedule, **facts)
        made = FlowSchedule(tenant=journey.tenant, flow=journey.flow, audience=f"{PREFIX}{journey.pk}", **facts)
        return schedules.save(made)
    except Invalid as error:
        raise error.below("schedule") from error
