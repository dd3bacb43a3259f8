"""What the threads of a process tell each other: news go to the journal, orders come back to the caller's loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from engine.saga_context import CurrentStep

Key = tuple[str, bool]


# --- news -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    A call has ended, with a result or with an error.

    `unknown` says that it may have happened all the same; `hopeless` that another attempt is pointless.
    """

    step: str
    attempt: int
    undoing: bool
    result: Any = None
    error: BaseException | None = None
    unknown: bool = False
    hopeless: bool = False

    @property
    def key(self) -> Key:
        """Which call of the saga."""
        return self.step, self.undoing


@dataclass(frozen=True, slots=True)
class NotCalled:
    """A call was not made, as the lease had run out; it will be if the saga is still ours."""

    key: Key


@dataclass(frozen=True, slots=True)
class Again:
    """The pause before another attempt is over."""

    key: Key


@dataclass(frozen=True, slots=True)
class Overdue:
    """A call that cannot be stopped has used up its time, and goes on."""

    step: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants the saga to end; `heard` gets an error where it cannot be, else nothing once it is recorded."""

    reason: str
    actor: str
    heard: Future[None] | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Something outside may have changed: the time, or the row."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The loop that called is closed: nobody will carry the saga on here."""


News = Outcome | NotCalled | Again | Overdue | Cancel | Look | Abandoned


# --- orders -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """Call this, now that it is recorded that it will be called."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    timeout_s: float | None
    undoing: bool
    step: CurrentStep

    @property
    def key(self) -> Key:
        """Which call of the saga."""
        return self.step.step, self.undoing


@dataclass(frozen=True, slots=True)
class Pause:
    """Say so when so many seconds have passed."""

    key: Key
    seconds: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop what can be stopped: the actions, or also the compensations."""

    everything: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The saga is over for this process: results in the order of the steps, or what its caller is told."""

    results: list[Any] = field(default_factory=list)
    error: BaseException | None = None


Order = Call | Pause | Stop | Finish
