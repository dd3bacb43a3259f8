"""Which saga, and which step of it, the code that runs belongs to."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class CurrentStep:
    """
    The step whose action or compensation runs.

    `idempotency_key` is the same over all attempts: hand it to whoever is called. `results` has the results of the
    steps that were completed when this one began, by name; `result` is, in a compensation, its own action's (None where
    nobody knows it).
    """

    saga_id: str
    step: str
    attempt: int
    idempotency_key: str
    results: dict[str, Any] = field(default_factory=dict)
    result: Any = None


current_saga_id: Final[ContextVar[str | None]] = ContextVar("current_saga_id", default=None)
current_step: Final[ContextVar[CurrentStep | None]] = ContextVar("current_step", default=None)
