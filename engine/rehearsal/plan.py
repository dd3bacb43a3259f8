"""What a rehearsal is given: who goes through, what happens meanwhile, and how side effects turn out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from engine.nodes.outcomes import Branched, Completed, Failed, Outcome
from engine.ports import Preferences

JSON = dict[str, Any]

MADE_UP = "made-up"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that comes at a moment, or so long after the entry, or after a node has begun to wait."""

    event_type: str
    data: JSON = field(default_factory=dict)
    at: datetime | None = None
    after: timedelta = timedelta()
    node_id: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """
    How a node turns out: its branch, parts of its result, or that it fails; for an activity also how long it takes.

    `delivery` is, for a send, the last status that its message reaches, and `reason` why it did not.
    """

    branch: str | None = None
    result: JSON = field(default_factory=dict)
    fails: str = ""
    detail: str = ""
    after: timedelta = timedelta()
    delivery: str = ""
    reason: str = ""

    def over(self, outcome: Outcome) -> Outcome:
        """Give what the node is to have answered instead."""
        if self.fails:
            detail = self.detail or f"The rehearsal was told that this fails: {self.fails}."
            return Failed(detail, self.fails, retryable=False, result=self.result)
        match outcome:
            case Branched(branch=branch, result=result):
                chosen = self.branch or branch
                return Branched(chosen, {**_as_if(result, branch, chosen), **self.result})
            case Completed(result=result):
                if self.branch is not None:
                    return Branched(self.branch, {**result, **self.result})
                return replace(outcome, result={**result, **self.result})
        return outcome


@dataclass(frozen=True, slots=True)
class Plan:
    """
    A rehearsal that is to be; `begins` is the moment of entry.

    Without a `profile` the participant is whom the profile store knows by the id; with one, they are made up, and so
    are their `preferences` and `segments`.
    """

    begins: datetime
    participant_id: str = MADE_UP
    profile: JSON | None = None
    preferences: Preferences | None = None
    segments: frozenset[str] | None = None
    entry: JSON = field(default_factory=dict)
    entry_node: str | None = None
    events: tuple[Happening, ...] = ()
    choices: Mapping[str, Choice] = field(default_factory=dict)


# A result tells which branch was taken, by its name or as a truth value.
def _as_if(result: JSON, was: str, chosen: str) -> JSON:
    if was == chosen:
        return result
    said: dict[Any, Any] = {was: chosen}
    if {was, chosen} == {"true", "false"}:
        said |= {was == "true": chosen == "true"}
    return {name: said.get(value, value) if isinstance(value, str | bool) else value for name, value in result.items()}
