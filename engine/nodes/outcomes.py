"""What a node may answer: four values, and nothing else steers the loop."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Completed:
    """
    The node is done and its only branch is taken.

    `ends` ends the whole instance as completed, with `reason`. `goal` names a goal that was reached here, and `facts`
    says what is known of that: `value` (a decimal as text), `currency`, `variant`, `metadata`. `effects`, of inline
    types only, are values of engine.ports (ProfileChange, Message): they are written through the ports in the
    transaction that records this node, or not at all.
    """

    result: JSON = field(default_factory=dict)
    ends: bool = False
    reason: str = ""
    goal: str = ""
    effects: tuple[Any, ...] = ()
    facts: JSON = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Branched:
    """The node is done and the edges of `branch` are taken; `effects` are as those of Completed."""

    branch: str
    result: JSON = field(default_factory=dict)
    effects: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """
    The token stays here until `until`, or until one of `event_types` arrives and `filter` matches.

    `lookback` says from when events that are already in the inbox count: None for none, else an engine time.
    `data` is handed back to `resume`; `effects` are written with the beginning of the wait, as those of Completed are.
    """

    until: datetime | None = None
    event_types: tuple[str, ...] = ()
    filter: JSON | None = None
    lookback: datetime | None = None
    data: JSON = field(default_factory=dict)
    effects: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """
    The node could not do its work.

    An activity is tried again while `retryable` and its policy allows, no sooner than `retry_after`; `unknown` says
    that the effect may have happened. Inline nodes are never tried again by themselves. When `on_failure` lets the run
    go on, `result` is the node's result.
    """

    reason: str
    code: str = "error"
    retryable: bool = True
    retry_after: timedelta | None = None
    unknown: bool = False
    result: JSON = field(default_factory=dict)


Outcome = Completed | Branched | Waiting | Failed
