"""Where roll-backs are tied to the rest of the engine, once at start-up."""

from __future__ import annotations

from collections.abc import Sequence

from engine import activity_handlers, activity_owners
from engine.compensation import chains, handler, rollback, verbs
from engine.compensation.owner import Rollbacks
from engine.execution import write


def connect() -> None:
    """Register who does compensations and who hears of them; may be called twice."""
    activity_handlers.register_for_nodes(rollback.KIND, handler.undo)
    activity_owners.register(rollback.KIND, Rollbacks())
    if verbs.roll_back_failed not in write.on_failed:
        write.on_failed.append(verbs.roll_back_failed)
    if _publish not in rollback.on_begun:
        rollback.on_begun.append(_publish)


def _publish(instance_ids: Sequence[str], links: int) -> None:
    chains.publish(instance_ids=instance_ids, links=links)
