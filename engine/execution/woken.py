"""Whom an event or a timer has woken is run right where it was woken: cause and effects are one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine import bells
from engine.bells import Bell
from engine.execution import batch
from engine.execution.burst import Burst
from engine.execution.claim import Claims
from engine.execution.rows import Row


def run(bursts: Sequence[Burst], found: Mapping[str, Row], claims: Claims) -> list[Burst]:
    """
    Run the bursts that may run, by the loop's own rules; give all of them, as they are to be written.

    A suspect, who is run alone, and an instance of a paused flow, which is not run, are left to the loop.
    """
    awake = {burst.state.id: burst for burst in bursts if burst.is_runnable and _may_run(found[burst.state.id])}
    if not awake:
        return list(bursts)
    claims.announce(sorted(awake))
    ran = batch.go_on([found[key] for key in awake], list(awake.values()))
    return [burst for burst in bursts if burst.state.id not in awake] + ran


def ring_for(bursts: Sequence[Burst]) -> None:
    """Say after commit what these bursts have left to others to do."""
    if any(burst.activities for burst in bursts):
        bells.ring_on_commit(Bell.ACTIVITIES)
    bells.count_down_on_commit({timer.due_at for burst in bursts for timer in burst.timers.values()})


def _may_run(row: Row) -> bool:
    return not row.paused and not row.deaths
