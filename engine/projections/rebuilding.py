"""
Rebuilding a read model from the first event on, while the log grows and readers read.

Whatever is asked for here is carried on by every worker that runs projections, so that a rebuild outlives whoever
asked for it.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

from django.db import transaction

from engine.connections import execute
from engine.errors import UnknownProjection
from engine.projections import checkpoints, running
from engine.projections.checkpoints import Checkpoint
from engine.projections.projection import Projection

# How many places of the log readers have that the new build has not, up to a few.
MISSING = """
    SELECT count(*) FROM projection_checkpoints new
      JOIN projection_checkpoints live ON live.name = new.name AND live.is_live
     CROSS JOIN LATERAL (
           SELECT FROM stored_events e
            WHERE (e.tx, e.position) > (new.tx, new.position) AND (e.tx, e.position) <= (live.tx, live.position)
            ORDER BY e.tx, e.position LIMIT %(few)s) AS missing
     WHERE new.name = %(name)s AND new.build = %(build)s
"""


def request(projection: Projection) -> int:
    """
    Begin a rebuild, or find the one that is under way; give the number of its build.

    Where rows know their build, the new one grows beside the live one. Otherwise the read model is emptied here, and
    fills up again from the first event on.
    """
    checkpoints.ensure([projection])
    with transaction.atomic():
        builds = checkpoints.lock(projection.name)
        live = live_of(builds)
        if not projection.beside:
            projection.of(live.build).clear()
            checkpoints.restart(live)
            return live.build
        newest = max(each.build for each in builds)
        if newest == live.build:
            newest += 1
            # Whatever a build of this number left behind.
            projection.of(newest).clear()
            checkpoints.add_build(projection.name, newest)
        return newest


def carry_on(projection: Projection, build: int, *, until: float = math.inf) -> int:
    """Project what a new build has not seen, and have readers take it when it has caught up; give the count."""
    counted = running.catch_up(projection, build, until=until)
    # Where events come faster than batches are done, there is always one more to read: it is enough to have come close
    # to what readers have.
    if time.monotonic() < until or _is_near(projection, build):
        _switch_over(projection, build)
    return counted


def retire(projection: Projection, build: int) -> None:
    """Delete the rows of a build that readers take no longer, and its checkpoint."""
    with transaction.atomic():
        builds = checkpoints.lock(projection.name)
        live = live_of(builds)
        for each in builds:
            if each.build == build < live.build:
                projection.of(build).clear()
                checkpoints.remove(each)


def live_of(builds: list[Checkpoint]) -> Checkpoint:
    """Give the live one of a projection's builds."""
    for each in builds:
        if each.is_live:
            return each
    raise UnknownProjection("The projection has not been run.")


def _is_near(projection: Projection, build: int) -> bool:
    found = execute(MISSING, {"name": projection.name, "build": build, "few": projection.batch + 1}).fetchone()
    return found is not None and int(found[0]) <= projection.batch


# Both rows are locked, so that the live build stands still while the new one reads as far, and is taken only then: no
# reader ever goes back in the log.
def _switch_over(projection: Projection, build: int) -> None:
    with transaction.atomic():
        builds = checkpoints.lock(projection.name)
        live = live_of(builds)
        new = next((each for each in builds if each.build == build), None)
        if new is None or new.is_live or new.is_failed or build < live.build:
            return
        place = _read_up_to(projection, new, live.place)
        if place < live.place:
            return
        checkpoints.put(live, is_live=False)
        checkpoints.put(new, is_live=True)


def _read_up_to(projection: Projection, new: Checkpoint, wanted: tuple[int, int]) -> tuple[int, int]:
    place = new.place
    while place < wanted:
        went = running.advance(projection, replace(new, tx=place[0], position=place[1]), projection.batch)
        if went is None:
            break
        place = went[0]
    return place
