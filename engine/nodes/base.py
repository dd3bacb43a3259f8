"""What a node type is: a class that says what should happen, and touches nothing itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from engine.message_caps import Cap
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Branched, Completed, Outcome
from engine.nodes.reading import paths_in
from engine.nodes.wakeups import Wakeup

ConfigClass = type[Any]

# The longest path in a config: a dotted name of a field or a property.
MAX_PATH = 200


class Category(StrEnum):
    """Where a node type stands in the palette and in the rules of a graph."""

    TRIGGER = "trigger"
    CONDITION = "condition"
    WAIT = "wait"
    ACTION = "action"
    END = "end"


class Need(StrEnum):
    """What a node wants to know; the loop fetches it once per batch through the ports."""

    PROFILE = "profile"
    SEGMENTS = "segments"
    PREFERENCES = "preferences"
    DELIVERIES = "deliveries"
    CAPS = "caps"


class RunsAs(StrEnum):
    """Inside the loop's transaction, or as a recorded side effect on an activity worker."""

    INLINE = "inline"
    ACTIVITY = "activity"


class NodeConfig(BaseModel):
    """Base of every config: unknown keys are errors, and nothing is coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EmptyConfig(NodeConfig):
    """No settings."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Something outside of the graph that a config names: `kind` is secret, segment, template and so on."""

    kind: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to say about a config; `path` is its place."""

    code: str
    path: str
    message: str


class Node:
    """
    A node type.

    Facts about the type are class attributes. `execute` is pure for inline types; for activities it runs on an activity
    worker, outside of any transaction, at least once, with the same `step.idempotency_key` each time.
    """

    type: ClassVar[str]
    category: ClassVar[Category] = Category.ACTION
    title: ClassVar[str] = ""
    description: ClassVar[str] = ""
    branches: ClassVar[tuple[str, ...]] = ()
    runs_as: ClassVar[RunsAs] = RunsAs.ACTIVITY
    needs: ClassVar[tuple[Need, ...]] = ()
    on_failure: ClassVar[Literal["fail", "continue", "exit", "branch"]] = "fail"
    timeout: ClassVar[timedelta] = timedelta(seconds=30)
    result_schema: ClassVar[JSON] = {"type": "object"}
    Config: ClassVar[ConfigClass] = EmptyConfig

    def branches_of(self, config: Any) -> tuple[str, ...]:
        """Branches that a node with this config can take; none means the single unnamed one."""
        return self.branches

    def validate(self, config: Any) -> list[str]:
        """Problems of a config that its schema cannot express, one sentence each."""
        return []

    def edges_of(self, config: Any) -> tuple[str | None, ...]:
        """Branches that need an edge each; None stands for the unnamed one, and `on_failure: branch` adds `failed`."""
        edges: tuple[str | None, ...] = self.branches_of(config) or (None,)
        return (*edges, "failed") if getattr(config, "on_failure", None) == "branch" else edges

    def paths_of(self, config: Any) -> Iterable[tuple[str, str]]:
        """Every path that a node with this config reads, each after its place in the config."""
        return paths_in(config)

    def needs_of(self, config: Any) -> tuple[Need, ...]:
        """What a node with this config wants to know: the type's needs, and those of the paths that it reads."""
        needs = dict.fromkeys(self.needs)
        for _, text in self.paths_of(config):
            root, _, rest = text.partition(".")
            if root == "participant":
                needs[Need.PROFILE] = None
            if root == "nodes" and "delivery" in rest.split("."):
                needs[Need.DELIVERIES] = None
        return tuple(needs)

    def cap_of(self, config: Any) -> Cap | None:
        """The cap on messages that a node with this config decides on; one that has a cap needs Need.CAPS."""
        return None

    def references_of(self, config: Any) -> Iterable[Reference]:
        """What has to exist outside of the graph for a node with this config to work."""
        return ()

    def faults(self, config: Any) -> Iterable[Notice]:
        """What is wrong with a config that only a closer look shows: it is taken at publishing, not at every run."""
        return ()

    def notices(self, config: Any, now: datetime) -> Iterable[Notice]:
        """What an author should know about a config that is valid."""
        return ()

    def prepare(self, config: Any, step: StepContext) -> JSON:
        """Compute, in the loop, the input that an activity is recorded with and every attempt gets as `step.input`."""
        return {}

    def execute(self, config: Any, step: StepContext) -> Outcome:
        """Do, or say, what the node is for."""
        raise NotImplementedError

    def rehearse(self, config: Any, step: StepContext) -> Outcome:
        """Say, and do nothing, what a rehearsal takes for the outcome of a side effect when none was chosen."""
        branches = self.branches_of(config)
        return Branched(branches[0]) if branches else Completed()

    def resume(self, config: Any, step: StepContext, wakeup: Wakeup) -> Outcome:
        """Go on after a wait."""
        raise NotImplementedError

    def compensate(self, config: Any, step: StepContext, result: JSON) -> Outcome:
        """Undo what `execute` did; a type that defines it can be rolled back."""
        raise NotImplementedError
