"""Events that a projection passes over because an operator said so."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from engine import clock, values
from engine.errors import ProjectionNotStopped, UnknownProjection
from engine.models import ProjectionSkip
from engine.projections import checkpoints
from engine.projections.checkpoints import Checkpoint

JSON = dict[str, Any]

LONGEST_REASON = 1_000
LONGEST_ACTOR = 255


def skip(name: str, reason: str, actor: str, build: int | None = None) -> ProjectionSkip:
    """
    Go on behind the event that stops a projection, with a record of who said so; the event is not counted.

    Without a build: the live one, or the rebuild if only that is stopped.
    """
    with transaction.atomic():
        stopped = stopped_build(name, build)
        assert stopped.error is not None
        return _pass_over(stopped, stopped.error, reason, actor)


def retry(name: str, build: int | None = None) -> None:
    """Have the event that stops a projection tried again now."""
    with transaction.atomic():
        checkpoints.retry(stopped_build(name, build))


def stopped_build(name: str, build: int | None) -> Checkpoint:
    """Lock a projection and give its build that is stopped."""
    known = [each for each in checkpoints.lock(name) if build in {None, each.build}]
    if not known:
        raise UnknownProjection(f"No projection called {name!r} has been run.")
    stopped = [each for each in known if each.is_failed]
    if not stopped:
        raise ProjectionNotStopped
    return max(stopped, key=lambda each: each.is_live)


def passes_by_itself(checkpoint: Checkpoint, error: JSON) -> bool:
    """
    Pass over an event that an operator had another build of the projection pass over, and tell whether it was so.

    Only where it fails again: what was mended meanwhile counts in the new build.
    """
    earlier = ProjectionSkip.objects.filter(name=checkpoint.name, event_id=error["event_id"]).order_by("-id").first()
    if earlier is None or earlier.build == checkpoint.build:
        return False
    _pass_over(checkpoint, error, earlier.reason, earlier.actor)
    return True


def _pass_over(checkpoint: Checkpoint, error: JSON, reason: str, actor: str) -> ProjectionSkip:
    checkpoints.move(checkpoint, (error["tx"], error["position"]), ())
    return ProjectionSkip.objects.create(
        name=checkpoint.name,
        build=checkpoint.build,
        tx=error["tx"],
        position=error["position"],
        event_id=error["event_id"],
        error=error,
        reason=values.storable(reason, LONGEST_REASON),
        actor=values.storable(actor, LONGEST_ACTOR),
        at=clock.now(),
    )
