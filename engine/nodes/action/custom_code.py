"""Run code of one's own: a function that the installation knows, or a few lines of Python."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field

from engine import ports
from engine.code_ports import CodeFailed
from engine.nodes import base, code_answer, registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Category, Need, Node, Notice, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.duration import Duration
from engine.nodes.outcomes import JSON, Failed, Outcome

MAX_SOURCE = 20_000
FAILED = "failed"
Branch = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


@registry.node
class CustomCode(Node):
    """What the author wrote, or a developer registered."""

    type = "custom_code"
    category = Category.ACTION
    title = "Custom code"
    description = "Calls a registered function, or runs a few lines of Python that reach nothing but the run's data."
    runs_as = RunsAs.ACTIVITY
    needs = (Need.PROFILE,)
    result_schema: ClassVar[JSON] = {"type": "object", "description": "The JSON that the code gave."}

    class Config(ActionConfig):
        """The code, what it is told, and where it may lead."""

        callable: str | None = Field(
            None, min_length=1, max_length=128, description="The name of a registered function."
        )
        source: str | None = Field(
            None,
            min_length=1,
            max_length=MAX_SOURCE,
            description="Python that knows `context` and `args`; its last expression, or what it returns, is the "
            "result.",
        )
        args: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Any] = Field(
            {}, max_length=50, description="What the code is told besides: JSON or references."
        )
        branches: tuple[Branch, ...] = Field(
            (),
            max_length=20,
            description='The branches it chooses from: it gives the name of one, or {"branch": name} and a result.',
        )
        timeout: Duration = Field(
            timedelta(seconds=30),
            description="How long one attempt may take; source is given a few seconds of computing at most.",
        )

    def branches_of(self, config: Config) -> tuple[str, ...]:
        """Those it may choose from."""
        return config.branches

    def validate(self, config: Config) -> list[str]:
        """One kind of code, and branches that differ."""
        found = []
        if (config.callable is None) == (config.source is None):
            found.append("give either callable or source")
        if len(set(config.branches)) != len(config.branches):
            found.append("branches: each name may stand there once")
        if config.on_failure == "branch" and FAILED in config.branches:
            found.append("branches: failed is where on_failure leads already")
        return found

    def references_of(self, config: Config) -> Iterable[base.Reference]:
        """The function."""
        return () if config.callable is None else (base.Reference("callable", config.callable, "callable"),)

    def faults(self, config: Config) -> Iterable[Notice]:
        """Source that cannot be read."""
        fault = None if config.source is None else ports.bound().sandbox.fault_in(config.source)
        return () if fault is None else (Notice("invalid_config", "source", fault),)

    def prepare(self, config: Config, step: StepContext) -> JSON:
        """Fill in the references, and keep what was known of the participant."""
        return {"args": step.resolve(config.args), "participant": step.participant}

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Call it, and make an outcome of what it gave."""
        if config.source is not None:
            seconds = config.timeout.total_seconds()
            return code_answer.outcome(self._run(config.source, step, seconds), config.branches)
        function = step.ports.functions.find(config.callable)
        if function is None:
            return Failed(f"There is no function {config.callable!r} here.", "unresolved_reference")
        return code_answer.outcome(function(code_answer.context(step), **step.input["args"]), config.branches)

    def _run(self, source: str, step: StepContext, seconds: float) -> Any:
        names = {"context": code_answer.context(step), "args": step.input["args"]}
        try:
            return step.ports.sandbox.run(source, names, seconds=seconds, now=step.now, seed=step.idempotency_key)
        except CodeFailed as error:
            return Failed(error.detail, error.code, retryable=error.retryable)
