"""What can be undone, and leaves its keys in a file both ways; and what says no."""

import os
import threading
from pathlib import Path
from typing import Any

from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Failed, Outcome
from engine.workflow_scheduler import current_task_key
from tests.support.hostile.nodes import TRACE

GATE = "KALCIFER_TEST_GATE"


def trace(word: str) -> None:
    """Append a word to the file, in one write."""
    file = os.open(os.environ[TRACE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{word}\n".encode())
    finally:
        os.close(file)


class Booked(Node):
    """Leaves its key; undoing leaves the compensation's, and then waits for the gate where there is one."""

    type = "booked"

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        trace(step.idempotency_key)
        return Completed({"booked": step.node_id})

    def compensate(self, config: Any, step: StepContext, result: dict[str, Any]) -> Outcome:
        trace(step.idempotency_key)
        gate = os.environ.get(GATE)
        patience = threading.Event()
        while gate and not Path(gate).exists():
            patience.wait(0.02)
        return Completed({})


class Refused(Node):
    """Says no, for good."""

    type = "refused"

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Failed("no", code="refused", retryable=False)


def stay(_: str) -> str:
    """A saga's step."""
    return "done"


def leave(word: str) -> None:
    """Its compensation."""
    trace(f"undone:{word}")


def say_no() -> None:
    """A saga's step that fails."""
    raise PermissionError("no")


def task(word: str) -> str:
    """A scheduled call."""
    trace(f"{word}:{current_task_key.get()}")
    return word


def register() -> None:
    """Make them known."""
    for node in (Booked, Refused):
        registry.register(node)
