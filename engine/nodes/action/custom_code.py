"""Run code of one's own: a function that the installation knows, or a few lines of Python."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from engine import ports
from engine.code_ports import CodeFailed, Terms
from engine.nodes import base, code_answer, code_config, registry
from engine.nodes.base import Category, Need, Node, Notice, RunsAs
from engine.nodes.code_config import CodeConfig
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Failed, Outcome


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

    Config = CodeConfig

    def branches_of(self, config: CodeConfig) -> tuple[str, ...]:
        """Those it may choose from."""
        return config.branches

    def validate(self, config: CodeConfig) -> list[str]:
        """One kind of code, and branches that differ."""
        return list(code_config.contradictions(config))

    def references_of(self, config: CodeConfig) -> Iterable[base.Reference]:
        """The function."""
        return () if config.callable is None else (base.Reference("callable", config.callable, "callable"),)

    def faults(self, config: CodeConfig) -> Iterable[Notice]:
        """Source that cannot be read."""
        fault = None if config.source is None else ports.bound().sandbox.fault_in(config.source)
        return () if fault is None else (Notice("invalid_config", "source", fault),)

    def prepare(self, config: CodeConfig, step: StepContext) -> JSON:
        """Fill in the references, and keep what was known of the participant."""
        return {"args": step.resolve(config.args), "participant": step.participant}

    def execute(self, config: CodeConfig, step: StepContext) -> Outcome:
        """Call it, and make an outcome of what it gave."""
        if config.source is not None:
            seconds = config.timeout.total_seconds()
            return code_answer.outcome(self._run(config.source, step, seconds), config.branches)
        function = step.ports.functions.find(config.callable)
        if function is None:
            return Failed(f"There is no function {config.callable!r} here.", "unresolved_reference")
        return code_answer.outcome(function(code_answer.context(step), **step.input["args"]), config.branches)

    def rehearse(self, config: CodeConfig, step: StepContext) -> Outcome:
        """Run source for real, since it reaches nothing; a function is not called."""
        if config.source is None:
            return super().rehearse(config, step)
        try:
            return self.execute(config, replace(step, input=self.prepare(config, step), ports=ports.bound()))
        except ports.Busy as busy:
            return Failed(str(busy), "sandbox_busy")

    def _run(self, source: str, step: StepContext, seconds: float) -> Any:
        names = {"context": code_answer.context(step), "args": step.input["args"]}
        try:
            return step.ports.sandbox.run(source, names, Terms(step.tenant_id, seconds, step.now, step.idempotency_key))
        except CodeFailed as error:
            return Failed(error.detail, error.code, retryable=error.retryable)
