"""What the bus is told of sagas, in the transaction that records it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.bus import publish_to_process
from engine.event_store.events import SAGA, Event
from engine.sagas.state import SagaState
from engine.sagas.write import Move

JSON = dict[str, Any]


def tell(moves: Iterable[Move]) -> None:
    """Publish what happened to the durable handlers of each saga's tenant."""
    found: dict[str, list[Event]] = {}
    for move in moves:
        told = list(messages(move.state, (event for event, _ in move.events)))
        if told:
            found.setdefault(move.state.tenant_id, []).extend(told)
    for tenant_id, events in found.items():
        publish_to_process(tenant_id, events)


def messages(state: SagaState, events: Iterable[Event]) -> Iterator[Event]:
    """
    Give what handlers hear of a saga's events.

    `saga_failed` is said of a saga that ended without completing: when everything is undone, and when it is stuck.
    """
    for event in events:
        step = event.data.get("step")
        match event.type:
            case "step_completed" | "step_compensated":
                yield _message(state, f"{event.type}:{step}", step, event.data["result"])
            case "saga_completed":
                yield _message(state, "saga_completed", None, state.results)
            case "saga_compensated":
                yield _message(state, "saga_failed", None, (state.ending or {}).get("error"))
            case "saga_failed":
                yield _message(state, "saga_failed", None, event.data["error"])


def _message(state: SagaState, kind: str, step: str | None, result: Any) -> Event:
    return Event(
        kind,
        {"saga_id": state.name, "step": step, "result": result},
        metadata={"saga_id": state.name, "correlation_id": state.id},
        tenant_id=state.tenant_id,
        aggregate_type=SAGA,
        aggregate_id=state.id,
    )
