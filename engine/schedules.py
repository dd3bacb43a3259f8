"""Starting flows by the clock: cron, interval or once, in a time zone, for listed participants or an audience."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.db import transaction

from engine import clock, errors, triggers, values
from engine.connections import is_in_the_way
from engine.models import FlowSchedule
from engine.nodes import duration
from tenants.errors import Invalid, KalciferError, Problem
from tenants.models import Tenant

JSON = dict[str, Any]
Audience = Callable[[Tenant], Iterable[str]]
Kind = FlowSchedule.Kind

logger = logging.getLogger(__name__)

CHUNK = 1000
CRON_FIELDS = 5
MAX_PARTICIPANTS = 10_000
# Which fields say when, by kind; the others must be empty.
TIMED_BY = {Kind.CRON: "cron", Kind.INTERVAL: "every", Kind.ONCE: "at"}


class Source(Protocol):
    """Audiences that an app keeps itself, of any size: a schedule only begins to let them in."""

    def knows(self, tenant_id: UUID, name: str) -> bool:
        """Tell whether the tenant has an audience of this name."""

    def let_in(self, schedule: FlowSchedule, name: str) -> JSON:
        """Begin to start the flow for the audience, in the caller's transaction; give what is noted as the result."""


_audiences: dict[str, Audience] = {}
_sources: list[Source] = []


def register_audience(name: str, audience: Audience) -> None:
    """Let schedules start flows for whoever `audience(tenant)` names when the time has come."""
    _audiences[name] = audience


def register_source(source: Source) -> None:
    """Let schedules name the audiences of a source; may be called twice."""
    if source not in _sources:
        _sources.append(source)


def next_moment(schedule: FlowSchedule, after: datetime) -> datetime | None:
    """
    Tell the first moment later than `after`; None when there is none.

    Cron goes by the wall clock of the schedule's zone: a time that a change of clocks leaves out comes right after the
    gap, one that it repeats comes once. Intervals count from `at`, else from the moment that was due last.
    """
    match schedule.kind:
        case Kind.CRON:
            found = next(CronSim(schedule.cron, after.astimezone(ZoneInfo(schedule.timezone))), None)
            return found.astimezone(UTC) if found else None
        case Kind.INTERVAL:
            return _next_of_interval(duration.parse(schedule.every), schedule.at or schedule.next_at, after)
        case _:
            return schedule.at if schedule.at and schedule.at > after else None


def save(schedule: FlowSchedule) -> FlowSchedule:
    """Check a new or changed schedule, plan its next moment and store it; Invalid names every field that is wrong."""
    now = clock.now()
    problems = list(_problems(schedule, now))
    if problems:
        raise Invalid(problems)
    schedule.next_at = None
    if schedule.enabled:
        schedule.next_at = next_moment(schedule, now)
        if schedule.next_at is None:
            raise Invalid([Problem("invalid", "There is no such moment any more.", TIMED_BY[Kind(schedule.kind)])])
    schedule.save()
    return schedule


def change(schedule: FlowSchedule, **changes: Any) -> FlowSchedule:
    """Change fields of a stored schedule under its lock, so that a start at this moment is not undone."""
    with transaction.atomic():
        locked = FlowSchedule.objects.select_for_update().filter(pk=schedule.pk).first()
        if locked is None:
            raise errors.UnknownSchedule
        for name, value in changes.items():
            setattr(locked, name, value)
        return save(locked)


def run_due(now: datetime | None = None) -> int:
    """
    Start what is due, one transaction per schedule; give how many schedules ran.

    The row's lock and its `next_at` are the key of a due moment: whoever comes second finds it moved on. Moments that
    were missed are made up for once. One whose start meets somebody's locks stays due, for the next time.
    """
    ran, passed_over = 0, set[UUID]()
    while _run_one(now or clock.now(), passed_over):
        ran += 1
    return ran - len(passed_over)


def _run_one(now: datetime, passed_over: set[UUID]) -> bool:
    with transaction.atomic(durable=True):
        due = FlowSchedule.objects.filter(enabled=True, next_at__lte=now).exclude(pk__in=passed_over)
        schedule = due.order_by("next_at", "id").select_for_update(skip_locked=True, of=("self",)).first()
        if schedule is None:
            return False
        result = _result(schedule)
        if result is None:
            passed_over.add(schedule.pk)
            return True
        schedule.last_at = schedule.next_at
        schedule.last_result = result
        schedule.next_at = next_moment(schedule, now)
        schedule.enabled = schedule.next_at is not None
        schedule.save(update_fields=["last_at", "last_result", "next_at", "enabled"])
    return True


# Whatever goes wrong is written on the schedule, which moves on: it must not keep the others from their turn. Where
# only somebody was in the way, its moment would be lost for nothing: then there is no result.
def _result(schedule: FlowSchedule) -> JSON | None:
    try:
        with transaction.atomic():
            return _start_all(schedule)
    except Exception as error:
        if is_in_the_way(error):
            logger.warning("schedule.put_off", exc_info=True, extra={"schedule": str(schedule.pk)})
            return None
        if not isinstance(error, KalciferError):
            logger.exception("schedule.failed", extra={"schedule": str(schedule.pk)})
        code = error.code if isinstance(error, KalciferError) else "error"
        return {"started": 0, "refused": 0, "error": {"code": code, "detail": values.storable(str(error))}}


def _start_all(schedule: FlowSchedule) -> JSON:
    source = _source_of(schedule)
    if source is not None:
        return source.let_in(schedule, schedule.audience)
    due = schedule.next_at.isoformat() if schedule.next_at else ""
    refusals: Counter[str] = Counter()
    started = 0
    for participants in _chunks(_participants(schedule)):
        verdicts = triggers.start_many(
            schedule.flow,
            participants,
            context=schedule.context,
            actor="schedule",
            correlation_id=f"schedule:{schedule.pk}:{due}",
        )
        started += sum(each.refusal is None for each in verdicts)
        refusals.update(each.refusal.code for each in verdicts if each.refusal is not None)
    reasons = {"reasons": dict(refusals)} if refusals else {}
    return {"started": started, "refused": refusals.total(), **reasons}


def _participants(schedule: FlowSchedule) -> Iterable[str]:
    if not schedule.audience:
        return [str(each) for each in schedule.participants]
    if schedule.audience not in _audiences:
        raise Invalid([_unknown_audience(schedule.audience)])
    return _audiences[schedule.audience](schedule.tenant)


# An audience that was registered goes before one of the same name that a tenant made.
def _source_of(schedule: FlowSchedule) -> Source | None:
    if not schedule.audience or schedule.audience in _audiences:
        return None
    return next((each for each in _sources if each.knows(schedule.tenant_id, schedule.audience)), None)


def _chunks(participants: Iterable[str]) -> Iterator[list[str]]:
    found = iter(participants)
    while some := list(dict.fromkeys(islice(found, CHUNK))):
        yield some


def _next_of_interval(every: timedelta, anchor: datetime | None, after: datetime) -> datetime:
    if anchor is None:
        return after + every
    if anchor > after:
        return anchor
    return anchor + every * ((after - anchor) // every + 1)


# --- what can be wrong ---


def _problems(schedule: FlowSchedule, now: datetime) -> Iterator[Problem]:
    yield from _zone_problems(schedule.timezone)
    yield from _timing_problems(schedule, now)
    if bool(schedule.participants) == bool(schedule.audience):
        yield Problem("required", "Name either participants or an audience.", "participants")
    if schedule.audience and schedule.audience not in _audiences and _source_of(schedule) is None:
        yield _unknown_audience(schedule.audience)
    if len(schedule.participants) > MAX_PARTICIPANTS:
        yield Problem("max_length", f"At most {MAX_PARTICIPANTS} participants; use an audience.", "participants")


def _zone_problems(name: str) -> Iterator[Problem]:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        yield Problem("invalid", f"{name!r} is no time zone; write one such as Europe/Berlin.", "timezone")


def _timing_problems(schedule: FlowSchedule, now: datetime) -> Iterator[Problem]:
    kind = Kind(schedule.kind)
    values = {"cron": schedule.cron, "every": schedule.every, "at": schedule.at}
    if not values[TIMED_BY[kind]]:
        yield Problem("required", f"A schedule of kind {kind} needs {TIMED_BY[kind]}.", TIMED_BY[kind])
        return
    allowed = {TIMED_BY[kind], "at"} if kind is Kind.INTERVAL else {TIMED_BY[kind]}
    for name, value in values.items():
        if value and name not in allowed:
            yield Problem("invalid", f"A schedule of kind {kind} has no {name}.", name)
    if kind is Kind.CRON:
        yield from _cron_problems(schedule.cron, now)
    if kind is Kind.INTERVAL:
        yield from _duration_problems(schedule.every)
    if kind is Kind.ONCE and schedule.enabled and schedule.at and schedule.at <= now:
        yield Problem("in_the_past", "This time has passed.", "at")


def _cron_problems(text: str, now: datetime) -> Iterator[Problem]:
    try:
        if len(text.split()) != CRON_FIELDS:
            raise CronSimError("five fields are needed: minute, hour, day, month, weekday")
        if next(CronSim(text, now), None) is None:
            raise CronSimError("it never comes")
    except CronSimError as error:
        yield Problem("invalid", f"This is no cron expression ({error}); write one such as 0 9 * * MON-FRI.", "cron")


def _duration_problems(text: str) -> Iterator[Problem]:
    try:
        duration.parse(text)
    except duration.InvalidDuration as error:
        yield Problem("invalid", f"{str(error)[:1].upper()}{str(error)[1:]}.", "every")


def _unknown_audience(name: str) -> Problem:
    return Problem("unresolved_reference", f"There is no audience named {name!r}.", "audience")
