"""What users' code is told of a run, and what is made of its answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.expressions.references import as_json
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Branched, Completed, Failed, Outcome


def context(step: StepContext) -> JSON:
    """Give what code knows of a run, as JSON of its own: it may change it as it likes."""
    return {
        "entry": step.entry,
        "nodes": step.accumulated,
        "outcomes": dict(step.outcomes),
        "participant": step.input.get("participant"),
        "run": {name: _plain(value) for name, value in step.run.items()},
        "now": as_json(step.now),
    }


def outcome(answer: Any, branches: Sequence[str]) -> Outcome:
    """
    Make an outcome of what the code gave.

    An object is the result, anything else its `value`. With branches it has to be the name of one, or an object whose
    `branch` names one. A function may also give an outcome itself.
    """
    if isinstance(answer, Completed | Branched | Failed):
        return answer
    if not branches:
        return Completed(_result(answer))
    chosen, rest = _chosen(answer)
    if chosen in branches:
        return Branched(chosen, rest)
    offered = ", ".join(branches)
    return Failed(f"The code gave {chosen!r:.100}; its branches are {offered}.", "unknown_branch", retryable=False)


def _result(answer: Any) -> JSON:
    if answer is None:
        return {}
    return dict(answer) if isinstance(answer, Mapping) else {"value": answer}


def _chosen(answer: Any) -> tuple[Any, JSON]:
    if isinstance(answer, Mapping):
        rest = dict(answer)
        return rest.pop("branch", None), rest
    return answer, {}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
