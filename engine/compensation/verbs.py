"""Who has a run rolled back: its flow's settings when it fails, or an operator."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from engine import bridge, clock, operations
from engine.compensation import rollback
from engine.compensation.rollback import KIND, Progress
from engine.connections import execute
from engine.execution import batch
from engine.execution.burst import Burst
from engine.execution.rows import Row
from engine.operations import Instance, Verdict
from flows.models import FlowInstance
from flows.models.instance import InstanceStatus as Status

JSON = dict[str, Any]
logger = logging.getLogger(__name__)

# A side effect that is under way is waited for: what it does is undone too.
BUSY = (
    "SELECT DISTINCT instance_id FROM activities WHERE instance_id = ANY(%s) AND kind = 'node' AND status = 'running'"
)

# An operator's second call begins where the first one got stuck.
REVIVE = f"""
    UPDATE activities SET status = 'pending', due_at = clock_timestamp(), error = NULL, held = false
     WHERE idempotency_key = ANY(%s) AND kind = '{KIND}' AND status = 'parked' RETURNING id, instance_id
"""
# What an operator gave up has the key that its successor needs; the log knows it still.
GIVE_UP_KEYS = f"""
    UPDATE activities SET idempotency_key = left(idempotency_key, 200) || '#' || id
     WHERE idempotency_key = ANY(%s) AND kind = '{KIND}' AND status IN ('failed', 'cancelled')
"""


def compensate_sync(instance: Instance, *, reason: str = "", actor: str = "", correlation_id: str = "") -> FlowInstance:
    """
    Undo what a failed or exited run did, or go on where its roll-back got stuck; joins the caller's transaction.

    Raises IllegalTransition for a run that stands elsewhere, AlreadyInFlow while another run of the same key is live.
    """
    ids = [operations.id_of(instance)]
    verdicts = compensate_many(ids, reason=reason, actor=actor, correlation_id=correlation_id)
    return operations.only_one(instance, verdicts)


compensate = compensate_sync
acompensate = bridge.twin(compensate_sync)


def compensate_many(
    ids: Iterable[str], *, reason: str = "", actor: str = "", correlation_id: str = ""
) -> list[Verdict]:
    """Have runs rolled back; one verdict each, in the order of the ids."""
    metadata = operations.metadata_of(actor, correlation_id)
    cause = {"by": "operator", "actor": metadata["actor"], "reason": reason}

    def change(found: Sequence[Row]) -> list[Burst]:
        now = clock.now()
        stuck = [batch.open_burst(row, now) for row in found if row.status == Status.COMPENSATION_FAILED]
        fresh = [batch.open_burst(row, now) for row in found if row.status != Status.COMPENSATION_FAILED]
        if fresh:
            rollback.begin(fresh, cause=cause, metadata=metadata)
        if stuck:
            _go_on_with(rollback.load(stuck), cause, metadata)
        return [*fresh, *stuck]

    return operations.decide(list(ids), Status.COMPENSATING, change)


def roll_back_failed(bursts: Sequence[Burst], metadata: JSON) -> None:
    """Begin the roll-back of runs that just failed and whose flow wants it; the others stay failed."""
    wanting = [burst for burst in bursts if burst.program.settings.on_failure == "compensate"]
    if not wanting:
        return
    busy = {row[0] for row in execute(BUSY, [[burst.state.id for burst in wanting]]).fetchall()}
    ready = [burst for burst in wanting if burst.state.id not in busy]
    if ready:
        _begin_who_can(ready, metadata)


# All at once; where the one-live-run rule refuses any, the others go one by one. Who is refused stays failed: an
# operator may ask again when the participant's other run is over.
def _begin_who_can(bursts: Sequence[Burst], metadata: JSON) -> None:
    cause = {"by": "failure", "actor": metadata.get("actor", ""), "reason": ""}
    try:
        with transaction.atomic():
            rollback.begin([rollback.continued(burst) for burst in bursts], cause=cause, metadata=metadata)
    except batch.CULPABLE as error:
        for burst in bursts if len(bursts) > 1 else ():
            _begin_who_can([burst], metadata)
        is_rival = isinstance(error, IntegrityError) and operations.constraint_of(error) == operations.ONE_LIVE
        if len(bursts) == 1 and not is_rival:
            # Its failure is recorded all the same: what is wrong with its plan must not strand its neighbours.
            logger.exception("rollback.not_begun", extra={"instance": bursts[0].state.id})


def _go_on_with(stuck: Sequence[Progress], cause: JSON, metadata: JSON) -> None:
    keys = [rollback.key_of(each.burst.state.id, entry["node"]) for each in stuck for entry in each.left]
    revived = {instance: activity for activity, instance in execute(REVIVE, [keys]).fetchall()}
    execute(GIVE_UP_KEYS, [keys])
    for each in stuck:
        each.start(cause, each.left)
        if (activity := revived.get(each.burst.state.id)) is not None:
            each.note_scheduled(each.plan[0]["node"], activity)
        else:
            each.go_on()
    rollback.save(stuck, metadata)
    rollback.announce(stuck)
