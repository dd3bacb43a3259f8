"""Node types that kill their process, and a side effect that appends its key to a file."""

import os
from typing import Any

from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome

TRACE = "KALCIFER_TEST_TRACE"


class Bomb(Node):
    """Kills its process for the participant whose name says so."""

    type = "bomb"
    runs_as = RunsAs.INLINE

    class Config(NodeConfig):
        """Nothing to say."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        if step.participant_id == "bomb":
            os._exit(9)
        return Completed({})


class BombEffect(Node):
    """The same, as a side effect."""

    type = "bomb_effect"

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        if step.participant_id == "bomb":
            os._exit(9)
        return Completed({})


class Trace(Node):
    """Appends its key to a file, which is a side effect that outlives everything."""

    type = "trace"

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        file = os.open(os.environ[TRACE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, f"{step.idempotency_key}\n".encode())
        finally:
            os.close(file)
        return Completed({"key": step.idempotency_key})


def register() -> None:
    """Make them known."""
    for node in (Bomb, BombEffect, Trace):
        registry.register(node)
