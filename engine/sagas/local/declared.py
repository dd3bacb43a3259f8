"""What a program declared of a saga, as its execution needs it: a copy, so that later steps change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from engine.errors import SagaChanged
from engine.saga_context import CurrentStep
from engine.sagas import activities
from engine.sagas.builder import Saga, SagaStep
from engine.sagas.local.news import Call
from engine.sagas.state import SagaState

JSON = dict[str, Any]

# What has to be the same for a log to be gone on with; callables may have moved, and arguments are the log's.
SHAPE = ("name", "after", "pivot")


@dataclass(frozen=True, slots=True)
class Declared:
    """A saga, its plan, and the key of the tenant that it belongs to."""

    saga_id: str
    tenant: str
    bus: Any
    steps: dict[str, SagaStep]
    plan: list[JSON]

    @classmethod
    def of(cls, saga: Saga, tenant: str) -> Declared:
        """Copy a saga; raise InvalidSaga when its steps do not make one."""
        saga.check()
        return cls(saga.saga_id, tenant, saga.event_bus, {step.name: step for step in saga.steps}, saga.as_plan())

    def check_against(self, plan: list[JSON]) -> None:
        """Raise SagaChanged unless a log that was begun with this plan can be gone on with."""
        if [_shape(step) for step in self.plan] != [_shape(step) for step in plan]:
            raise SagaChanged(
                f"The saga {self.saga_id!r} was begun with the steps {', '.join(step['name'] for step in plan)}, "
                "in another shape than it has now: give it another id, or its old steps."
            )

    def planned(self, name: str) -> JSON:
        """Give what is kept of a step."""
        return next(step for step in self.plan if step["name"] == name)

    def call(self, state: SagaState, name: str, *, undoing: bool) -> Call:
        """Give the call of a step that has been recorded as started."""
        step, planned, entry = self.steps[name], state.declared(name), state.step(name)
        attempts = entry["compensation"]["attempts"] if undoing else entry["attempts"]
        # A step that could change what it is given would change what its compensation, and the log, are given.
        args = tuple(step.args) if planned["args"] is None else tuple(_copy(planned["args"]))
        kwargs = dict(step.kwargs or {}) if planned["kwargs"] is None else _copy(planned["kwargs"])
        kind = activities.COMPENSATION if undoing else activities.STEP
        current = CurrentStep(
            saga_id=state.name,
            step=name,
            attempt=attempts,
            idempotency_key=activities.key_of(state.id, name, kind),
            results=_copy(state.results),
            result=_copy(entry["result"]) if undoing else None,
        )
        function = step.compensation if undoing else step.action
        if function is None:
            raise SagaChanged(f"The step {name!r} has no compensation any more.")
        return Call(function, args, kwargs, step.timeout, undoing, current)


def _shape(step: JSON) -> tuple[Any, ...]:
    return (*(step[name] for name in SHAPE), step["compensation"] is None)


def _copy(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value)) if value and value.__class__ in {dict, list} else value
