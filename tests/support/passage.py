"""One participant's way through a flow, as a test tells it."""

from __future__ import annotations

from typing import Any

from engine import triggers
from engine.execution import loop
from engine.models import StoredEvent
from flows.models import ExecutionStep, Flow, FlowInstance


def run_until_idle() -> int:
    """Let the loop run whatever is runnable."""
    return loop.advance(slice_s=20.0)


class Passage:
    """A participant who goes through a flow."""

    def __init__(self, flow: Flow, participant_id: str) -> None:
        self.flow = flow
        self.participant_id = participant_id
        self.id: Any = None

    def start(self, **options: Any) -> Passage:
        """Enter, and go as far as possible."""
        self.id = triggers.start(self.flow, self.participant_id, **options).pk
        run_until_idle()
        return self

    @property
    def instance(self) -> FlowInstance:
        """The row as it is now."""
        return FlowInstance.objects.get(pk=self.id)

    @property
    def status(self) -> str:
        return str(self.instance.status)

    @property
    def path(self) -> list[str]:
        """The nodes that were completed, in order."""
        return [event.data["node"] for event in self.events if event.type == "node_completed"]

    @property
    def events(self) -> list[StoredEvent]:
        return list(StoredEvent.objects.filter(aggregate_id=self.id).order_by("sequence"))

    @property
    def event_types(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def steps(self) -> list[ExecutionStep]:
        return list(ExecutionStep.objects.filter(instance_id=self.id).order_by("n"))

    @property
    def waiting_at(self) -> list[str]:
        return [token["node_id"] for token in self.instance.current_nodes if token["status"] == "waiting"]

    @property
    def results(self) -> dict[str, Any]:
        return dict(self.instance.context["accumulated"])
