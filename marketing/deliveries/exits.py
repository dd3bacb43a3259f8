"""Runs that hang on a segment, asked whenever a message of theirs is about to go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from engine import operations
from engine.execution.program import Program
from marketing.segments.lookup import Memberships

REASON: Final = "exit_criteria"


class Leaving(Protocol):
    """What is asked of a delivery."""

    @property
    def id(self) -> str:
        """Which."""

    @property
    def instance_id(self) -> str | None:
        """The run that it is of."""

    @property
    def participant_id(self) -> str:
        """Whom it is for."""

    @property
    def program(self) -> Program | None:
        """What the run runs by."""


def left_many(tenant_id: str, deliveries: Sequence[Leaving]) -> set[str]:
    """
    Give the deliveries whose flow wants its people in a segment that theirs is not in now, and end those runs.

    Asked outside of any lock on deliveries: the runs are locked here, and take back what else they have queued.
    """
    wanted = {each.id: segment for each in deliveries if (segment := _segment_of(each))}
    if not wanted:
        return set()
    asked = [each for each in deliveries if each.id in wanted]
    names, people = sorted(set(wanted.values())), sorted({each.participant_id for each in asked})
    members = Memberships().memberships_many(tenant_id, people, names)
    gone = [each for each in asked if wanted[each.id] not in members.get(each.participant_id, ())]
    _end(wanted, gone)
    return {each.id for each in gone}


def _segment_of(delivery: Leaving) -> str | None:
    return None if delivery.program is None else delivery.program.settings.exit_criteria.on_segment_exit


def _end(wanted: dict[str, str], gone: Sequence[Leaving]) -> None:
    by_segment: dict[str, set[str]] = {}
    for each in gone:
        if each.instance_id is not None:
            by_segment.setdefault(wanted[each.id], set()).add(each.instance_id)
    metadata: dict[str, Any] = operations.metadata_of("engine", "")
    for segment, runs in sorted(by_segment.items()):
        operations.exit_many(sorted(runs), code=REASON, detail=f"Not in the segment {segment}.", metadata=metadata)
