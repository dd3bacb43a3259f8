"""The heart: claim runnable instances, run them, write what they did, again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from django.db import transaction

from engine import bells, clock
from engine.bells import Bell
from engine.conf import engine_settings
from engine.execution import batch, claim, wakes, woken, write
from engine.execution.burst import Burst
from engine.execution.rows import Row

logger = logging.getLogger(__name__)

CONTENDED_S = 0.005
# Who was claimed by a worker that died gets a turn also while there is other work.
SUSPECT_EVERY = 8


def advance(*, slice_s: float | None = None, task_id: str = "", by: str = "engine") -> int:
    """
    Run whatever is runnable until nothing is, or the slice is over; give the number of instances that were moved.

    Harmless when doubled: what another worker holds is skipped. A batch that was full rings for a colleague before it
    runs.
    """
    settings = engine_settings()
    until = time.monotonic() + (settings.slice_s if slice_s is None else slice_s)
    metadata = {"actor": by, "task_id": task_id}
    moved = 0
    for turn in count(1):
        if time.monotonic() >= until:
            break
        claim.bury_the_dead_now_and_then()
        taken, done = 0, 0
        if turn % SUSPECT_EVERY:
            take = partial(claim.take, settings.batch_size, woken_first=not turn % 2)
            taken, done = run_batch(take, metadata)
        if not taken:
            taken, done = run_batch(claim.take_suspects, metadata, one_by_one=True)
        if not taken and not turn % SUSPECT_EVERY:
            continue
        if not taken:
            return moved
        moved += done
        if not done:
            time.sleep(CONTENDED_S)
    bells.ring(Bell.ADVANCE)
    return moved


def run_batch(take: Callable[[], list[Row]], metadata: dict[str, str], *, one_by_one: bool = False) -> tuple[int, int]:
    """
    Claim, run and write one batch in one transaction; give how many were taken, and how many moved.

    `one_by_one` names each instance alone while it runs, so that a process that dies then says whose fault it was.
    """
    taken: list[Row] = []
    try:
        with claim.claims(metadata["task_id"]) as claims, transaction.atomic(durable=True):
            taken = take()
            if not taken:
                return 0, 0
            if len(taken) == engine_settings().batch_size:
                bells.ring(Bell.ADVANCE)
            claim_id = claims.announce([row.id for row in taken])
            bursts = _run_one_by_one(taken, claim_id) if one_by_one else _run(taken)
            write.batch(bursts, metadata=metadata, closing=claims.ids)
            if idle := [burst.state.id for burst in bursts if not burst.events]:
                claim.unmark(idle)
            if left_out := {row.id for row in taken if not row.paused} - {burst.state.id for burst in bursts}:
                wakes.mark(sorted(left_out))
            woken.ring_for(bursts)
        return len(taken), len(bursts)
    except batch.CULPABLE as error:
        logger.warning("batch.undone", extra={"instances": len(taken), "error": repr(error)})
        return len(taken), _run_by_halves([row.id for row in taken], metadata, error)


def _run(taken: Sequence[Row]) -> list[Burst]:
    paused = [row.id for row in taken if row.paused]
    if paused:
        claim.set_aside(paused)
    return batch.drive([row for row in taken if not row.paused], clock.now())


def _run_one_by_one(taken: Sequence[Row], claim_id: str) -> list[Burst]:
    bursts = []
    for row in taken:
        claim.announcer.name(claim_id, [row.id])
        bursts += _run([row])
    claim.announcer.name(claim_id, [])
    return bursts


# One row's content made the statements fail: halve until it stands alone, then fail it alone.
def _run_by_halves(ids: list[str], metadata: dict[str, str], error: Exception) -> int:
    if len(ids) == 1:
        return _fail_alone(ids[0], metadata, error)
    middle = len(ids) // 2
    return sum(
        run_batch(lambda part=part: claim.take_again(part), metadata)[1]  # type: ignore[misc]  # bound now, called now
        for part in (ids[:middle], ids[middle:])
    )


def _fail_alone(instance_id: str, metadata: dict[str, str], error: Exception) -> int:
    with transaction.atomic(durable=True):
        rows = claim.take_again([instance_id])
        now = clock.now()
        write.batch(
            [batch.failed(row, now, "error", f"What it did could not be stored: {error}") for row in rows],
            metadata=metadata,
        )
    return len(rows)
