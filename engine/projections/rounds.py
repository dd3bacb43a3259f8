"""What a worker does when it is rung for: every projection of this process gets its turn."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import structlog

from engine.connections import execute
from engine.event_store import reading
from engine.execution import claim
from engine.projections import checkpoints, rebuilding, registry, running
from engine.projections.checkpoints import Checkpoint
from engine.projections.projection import Projection

log = structlog.get_logger(__name__)

# Whether anything can be read that a live build has not, or a build is under way or left over.
IS_BEHIND = f"""
    SELECT 1 FROM unnest(%s::text[]) AS wanted(name)
      LEFT JOIN projection_checkpoints c ON c.name = wanted.name
      LEFT JOIN ({reading.HEAD}) AS head ON true
     WHERE c.id IS NULL
        OR {checkpoints.MAY_GO_ON}
           AND (NOT c.is_live OR (c.tx, c.position) < (head.tx, head.position))
     LIMIT 1
"""


def is_behind() -> bool:
    """Whether any projection of this process has something to do; one look where it has not."""
    names = registry.names()
    return bool(names) and execute(IS_BEHIND, [names]).fetchone() is not None


def run(names: Sequence[str] = (), *, slice_s: float = math.inf) -> int:
    """
    Have these projections, or all, catch up; rebuilds come last. Give how many events were projected.

    The error of one stops no other; it is raised when all had their turn. Time is shared between them.
    """
    ends = time.monotonic() + slice_s
    wanted = [registry.get(name) for name in names or registry.names()]
    claim.bury_the_dead_now_and_then()
    checkpoints.ensure(wanted)
    turns = _in_turn(checkpoints.of([each.name for each in wanted]))
    counted, errors = 0, list[Exception]()
    for left, (checkpoint, live) in zip(range(len(turns), 0, -1), turns, strict=True):
        now = time.monotonic()
        try:
            counted += _turn(registry.get(checkpoint.name), checkpoint, live, until=now + max(0.0, ends - now) / left)
        except Exception as error:
            log.exception("projection.failed", projection=checkpoint.name, build=checkpoint.build)
            errors.append(error)
    if errors:
        raise errors[0]
    return counted


def _in_turn(known: Sequence[Checkpoint]) -> list[tuple[Checkpoint, int]]:
    live = {each.name: each.build for each in known if each.is_live}
    return [(each, live[each.name]) for each in sorted(known, key=lambda each: not each.is_live)]


def _turn(projection: Projection, checkpoint: Checkpoint, live: int, *, until: float) -> int:
    if checkpoint.is_live:
        return running.catch_up(projection, checkpoint.build, until=until)
    if checkpoint.build > live:
        return rebuilding.carry_on(projection, checkpoint.build, until=until)
    rebuilding.retire(projection, checkpoint.build)
    return 0
