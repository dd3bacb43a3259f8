"""A saga as a program declares it: steps, what undoes them, and what they wait for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Self

from engine import callables, values
from engine.errors import DuplicateStep, InvalidSaga, NotCallable, PivotConflict, StepCycle, UnknownStep
from engine.patience import Retry, is_seconds

JSON = dict[str, Any]

MAX_SAGA_ID: Final = 255
MAX_STEP_NAME: Final = 64
# What follows a step's name in the keys of its compensation and of later rows: no other step may be called so.
KEY_ENDING: Final = re.compile(r"(:compensate|@\d+)$")


# An action that failed is not called again unless its author says so; undoing is worth some patience.
ONCE: Final = Retry(attempts=1)
PATIENTLY: Final = Retry(attempts=5, backoff_s=0.1, max_interval_s=5.0)


def retry_of(planned: JSON, *, compensating: bool) -> Retry:
    """Give the policy of a planned step's action, or of its compensation; the step's own is for both."""
    if planned["retry"] is not None:
        return Retry(**planned["retry"])
    return PATIENTLY if compensating else ONCE


@dataclass
class SagaStep:
    """
    One step: what is done, and what undoes it.

    `action` and `compensation` are called with `args` and `kwargs`; either may be asynchronous, or not (it is run in a
    thread then). It begins when the steps that `after` names are completed, at once where there are none. `timeout` is
    in seconds and for each attempt. After a `pivot` there is no way back, only forward.
    """

    name: str
    action: Callable[..., Any]
    compensation: Callable[..., Any] | None = None
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None
    after: Sequence[str] = ()
    retry: Retry | None = None
    timeout: float | None = None
    pivot: bool = False

    def as_plan(self) -> JSON:
        """Give what is kept of it; `args` and `kwargs` are null where they are not exactly JSON."""
        return {
            "name": self.name,
            "after": list(self.after),
            "action": callables.address_of(self.action),
            "compensation": None if self.compensation is None else callables.address_of(self.compensation),
            "args": values.kept_exactly(self.args),
            "kwargs": values.kept_exactly(self.kwargs or {}),
            "retry": None if self.retry is None else self.retry.as_json(),
            "timeout_s": self.timeout,
            "pivot": self.pivot,
        }


@dataclass(eq=False)
class Saga:
    """A named sequence of steps, built with `add_step`; what it does is told on `event_bus`, if it has one."""

    saga_id: str
    event_bus: Any = None
    steps: list[SagaStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse an id that cannot be kept, and the steps it was given if they are no steps."""
        _check_name(self.saga_id, MAX_SAGA_ID, "saga_id")
        given, self.steps = self.steps, []
        for step in given:
            self.add_step(step)

    def add_step(self, step: SagaStep) -> Self:
        """Add a step; what it waits for may be added later."""
        check_step(step, at=f"steps.{len(self.steps)}")
        if any(step.name == other.name for other in self.steps):
            raise DuplicateStep(
                f"The saga has a step {step.name!r} already; the name of a step is its id.",
                attr=f"steps.{len(self.steps)}.name",
            )
        self.steps.append(step)
        return self

    def check(self) -> None:
        """Raise an InvalidSaga unless the steps make a saga: known names, no cycle, one pivot at most."""
        check_order({step.name: tuple(step.after) for step in self.steps})
        if len(pivots := [step.name for step in self.steps if step.pivot]) > 1:
            raise PivotConflict(f"A saga has one point of no return, not {len(pivots)}: {', '.join(pivots)}.")

    def as_plan(self) -> list[JSON]:
        """Give what is kept of its steps, in their order."""
        return [step.as_plan() for step in self.steps]


def check_step(step: SagaStep, *, at: str) -> None:
    """Raise an InvalidSaga that says which field of the step is wrong; `after` becomes a tuple."""
    if not isinstance(step, SagaStep):
        raise InvalidSaga(f"A step is a SagaStep, not {type(step).__name__}.", attr=at)
    _check_name(step.name, MAX_STEP_NAME, f"{at}.name")
    if ending := KEY_ENDING.search(step.name):
        raise InvalidSaga(
            f"The name of a step does not end in {ending[0]!r}: keys of other steps do.", attr=f"{at}.name"
        )
    for name in ("action", "compensation"):
        found = getattr(step, name)
        if not callable(found) and not (name == "compensation" and found is None):
            raise NotCallable(f"The {name} of {step.name!r} cannot be called: {found!r}.", attr=f"{at}.{name}")
    if isinstance(step.args, str | bytes) or not isinstance(step.args, Sequence):
        raise InvalidSaga(f"The args of {step.name!r} are a tuple or a list.", attr=f"{at}.args")
    if step.kwargs is not None and not _is_names(step.kwargs):
        raise InvalidSaga(f"The kwargs of {step.name!r} are a dict with names as keys.", attr=f"{at}.kwargs")
    if step.timeout is not None and not (is_seconds(step.timeout) and step.timeout > 0):
        raise InvalidSaga(f"The timeout of {step.name!r} is a number of seconds above 0.", attr=f"{at}.timeout")
    if step.retry is not None and not isinstance(step.retry, Retry):
        raise InvalidSaga(f"The retry of {step.name!r} is a Retry.", attr=f"{at}.retry")
    step.after = _names(step.after, f"{at}.after")


def check_order(after: Mapping[str, Iterable[str]]) -> None:
    """Raise unless every name that a step waits for is a step, and none waits for itself by any way round."""
    for number, (name, others) in enumerate(after.items()):
        for other in others:
            if other not in after:
                raise UnknownStep(f"{name!r} comes after {other!r}, which is no step.", attr=f"steps.{number}.after")
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        path = " → ".join(error.args[1])
        raise StepCycle(f"These steps wait for each other: {path}.", attr="steps") from None


def _check_name(name: Any, longest: int, at: str) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > longest:
        raise InvalidSaga(f"{at} is a text of 1 to {longest} characters.", attr=at)
    if not name.isprintable():
        raise InvalidSaga(f"{at} holds a character that cannot be shown.", attr=at)


def _names(given: Any, at: str) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (None,)
    if not all(isinstance(name, str) for name in found):
        raise InvalidSaga(f"{at} names steps.", attr=at)
    return tuple(dict.fromkeys(found))


def _is_names(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
