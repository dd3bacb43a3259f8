"""
What operators do to instances: cancel, pause, resume, retry.

Every verb locks its instances in the order of their ids, decides on what it reads under the lock, appends events in the
caller's transaction where there is one, and rings when that commits. A verb for many gives one verdict each and raises
for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from engine import bells, clock, errors, rearming
from engine.bells import Bell
from engine.connections import execute
from engine.execution import batch, rows, uptake, write
from engine.execution.burst import Burst
from engine.execution.rows import Row
from engine.triggers import LIVE_SQL
from flows.errors import IllegalTransition
from flows.models import FlowInstance
from flows.models.instance import InstanceStatus as Status
from tenants.errors import KalciferError

JSON = dict[str, Any]
Instance = FlowInstance | UUID | str
Act = Callable[[Burst], None]
Change = Callable[[Sequence[Row]], list[Burst]]

CANCELLED = "cancelled_by_operator"
ONE_LIVE = "instance_one_live_per_key"

HOLD_TIMERS = "UPDATE timers SET held = true WHERE instance_id = ANY(%s) AND NOT held"
FREE_TIMERS = "UPDATE timers SET held = false WHERE instance_id = ANY(%s) AND held RETURNING due_at"
FREE_ACTIVITIES = "UPDATE activities SET held = false WHERE instance_id = ANY(%s) AND held"

# The run that keeps another one of the same key from being live again.
FIND_RIVALS = f"""
    SELECT old.id::text, live.id::text FROM flow_instances old
      JOIN flow_instances live ON live.tenant_id = old.tenant_id AND live.flow_id = old.flow_id
       AND live.participant_id = old.participant_id AND live.live_key = old.live_key AND live.id <> old.id
     WHERE old.id = ANY(%s) AND live.status IN ({LIVE_SQL})
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one id of many: done, or an error that says why not."""

    id: str
    refusal: KalciferError | None = None


def cancel(instance: Instance, *, reason: str = "", actor: str = "", correlation_id: str = "") -> FlowInstance:
    """End an unfinished instance as `exited`; the operator's words go into the event's detail."""
    return only_one(instance, cancel_many([id_of(instance)], reason=reason, actor=actor, correlation_id=correlation_id))


def pause(instance: Instance, *, reason: str = "", actor: str = "", correlation_id: str = "") -> FlowInstance:
    """Hold an instance where it stands: nothing of it executes, events go on resolving its waits."""
    return only_one(instance, pause_many([id_of(instance)], reason=reason, actor=actor, correlation_id=correlation_id))


def resume(instance: Instance, *, reason: str = "", actor: str = "", correlation_id: str = "") -> FlowInstance:
    """Let a paused instance go on; what came due meanwhile is done now."""
    return only_one(instance, resume_many([id_of(instance)], reason=reason, actor=actor, correlation_id=correlation_id))


def retry(instance: Instance, *, reason: str = "", actor: str = "", correlation_id: str = "") -> FlowInstance:
    """Run a failed instance again from the node that failed; raises AlreadyInFlow if another run is live."""
    return only_one(instance, retry_many([id_of(instance)], reason=reason, actor=actor, correlation_id=correlation_id))


def cancel_many(ids: Iterable[str], *, reason: str = "", actor: str = "", correlation_id: str = "") -> list[Verdict]:
    """Cancel instances; one verdict each, in the order of the ids."""
    return exit_many(ids, code=CANCELLED, detail=reason, metadata=metadata_of(actor, correlation_id))


def exit_many(ids: Iterable[str], *, code: str, detail: str = "", metadata: JSON) -> list[Verdict]:
    """End instances from outside with a reason code."""

    def act(burst: Burst) -> None:
        burst.end("exited", {"reason": code, "detail": detail, "node": None})

    def change(found: Sequence[Row]) -> list[Burst]:
        return _write(found, act, metadata)

    return decide(list(ids), Status.EXITED, change)


def pause_many(ids: Iterable[str], *, reason: str = "", actor: str = "", correlation_id: str = "") -> list[Verdict]:
    """Pause instances; one verdict each, in the order of the ids."""
    metadata = metadata_of(actor, correlation_id)

    def change(found: Sequence[Row]) -> list[Burst]:
        bursts = _write(found, lambda burst: burst.record("paused", {"reason": reason}), metadata)
        held = [row.id for row in found]
        execute(HOLD_TIMERS, [held])
        execute(write.HOLD_ACTIVITIES, [held])
        return bursts

    return decide(list(ids), Status.PAUSED, change)


def resume_many(ids: Iterable[str], *, reason: str = "", actor: str = "", correlation_id: str = "") -> list[Verdict]:
    """Resume instances; one verdict each, in the order of the ids."""
    metadata = metadata_of(actor, correlation_id)

    def change(found: Sequence[Row]) -> list[Burst]:
        def resume(burst: Burst) -> None:
            burst.record("resumed", {"reason": reason})
            # A side effect may have succeeded before the pause, and nobody has taken that up.
            burst.recheck = any(token["activity"] for token in burst.state.tokens.values())

        bursts = _write(found, resume, metadata)
        _free([row.id for row in found])
        return bursts

    return decide(list(ids), Status.RUNNING, change, only=Status.PAUSED)


def retry_many(ids: Iterable[str], *, reason: str = "", actor: str = "", correlation_id: str = "") -> list[Verdict]:
    """Retry instances; one verdict each, in the order of the ids."""
    metadata = metadata_of(actor, correlation_id)
    wanted = list(ids)

    def change(found: Sequence[Row]) -> list[Burst]:
        with transaction.atomic():
            now = clock.now()
            bursts = [batch.open_burst(row, now) for row in found]
            rearming.retry(bursts, reason=reason)
            write.batch(bursts, metadata=metadata)
        _free([row.id for row in found])
        return bursts

    with transaction.atomic():
        # A wait that thaws looks back for what came while it was frozen: its participant's lock comes before its row's.
        rearming.lock_participants(wanted)
        return decide(wanted, Status.RUNNING, change, only=Status.FAILED)


# --- how a verb goes ---


def decide(ids: list[str], target: Status, change: Change, *, only: Status | None = None) -> list[Verdict]:
    """Lock the instances, change those whose status has an arrow to the target, and say what refused the others."""
    allowed = {only.value} if only else FlowInstance.TRANSITIONS.sources(target)
    refusals: dict[str, KalciferError] = {}
    with transaction.atomic():
        locked = rows.lock(set(ids))
        for wanted in ids:
            row = locked.get(wanted)
            if row is None:
                refusals[wanted] = errors.UnknownInstance()
            elif row.status not in allowed:
                refusals[wanted] = IllegalTransition(of="instance", current=row.status, target=target)
        willing = [row for row in locked.values() if row.id not in refusals]
        bursts = _change_who_can(willing, change, refusals)
        _ring_for(bursts)
    return [Verdict(wanted, refusals.get(wanted)) for wanted in ids]


# All at once; where the one-live-run rule refuses any, the others go one by one.
def _change_who_can(willing: list[Row], change: Change, refusals: dict[str, KalciferError]) -> list[Burst]:
    if not willing:
        return []
    try:
        with transaction.atomic():
            return change(willing)
    except IntegrityError as error:
        if constraint_of(error) != ONE_LIVE:
            raise
    if len(willing) == 1:
        row = willing[0]
        rivals = dict(execute(FIND_RIVALS, [[row.id]]).fetchall())
        refusals[row.id] = errors.AlreadyInFlow(extra={"instance_id": rivals.get(row.id)})
        return []
    return [burst for row in willing for burst in _change_who_can([row], change, refusals)]


def _write(found: Sequence[Row], act: Act, metadata: JSON) -> list[Burst]:
    now = clock.now()
    bursts = [batch.open_burst(row, now) for row in found]
    # What has been done belongs in the log, also of a run that ends or stops here.
    uptake.take_up([burst for burst in bursts if burst.state.status in ("running", "waiting")])
    for burst in bursts:
        act(burst)
    write.batch(bursts, metadata=metadata)
    return bursts


def _free(ids: list[str]) -> None:
    due: set[datetime] = {row[0] for row in execute(FREE_TIMERS, [ids]).fetchall()}
    if due:
        bells.count_down_on_commit(due)
    if execute(FREE_ACTIVITIES, [ids]).rowcount:
        bells.ring_on_commit(Bell.ACTIVITIES)


def _ring_for(bursts: Sequence[Burst]) -> None:
    if any(burst.is_runnable or burst.recheck for burst in bursts):
        bells.ring_on_commit(Bell.ADVANCE)
    if any(burst.activities for burst in bursts):
        bells.ring_on_commit(Bell.ACTIVITIES)
    bells.count_down_on_commit({timer.due_at for burst in bursts for timer in burst.timers.values()})


def only_one(instance: Instance, verdicts: list[Verdict]) -> FlowInstance:
    """Give the instance as it is after a verb for one, or raise its refusal."""
    (verdict,) = verdicts
    if verdict.refusal is not None:
        raise verdict.refusal
    if isinstance(instance, FlowInstance):
        instance.refresh_from_db()
        return instance
    return FlowInstance.objects.get(pk=verdict.id)


def id_of(instance: Instance) -> str:
    """Give the id of what a verb was handed; raise UnknownInstance where it is none."""
    if isinstance(instance, FlowInstance):
        return str(instance.pk)
    try:
        return str(UUID(str(instance)))
    except ValueError:
        raise errors.UnknownInstance from None


def metadata_of(actor: str, correlation_id: str) -> JSON:
    """Say in an event's metadata who did it."""
    return {"actor": actor or "operator", **({"correlation_id": correlation_id} if correlation_id else {})}


def constraint_of(error: IntegrityError) -> str:
    """Name the constraint that a statement broke."""
    return str(getattr(getattr(error.__cause__, "diag", None), "constraint_name", "") or "")
