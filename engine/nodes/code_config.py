"""What an author says of code of their own."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from engine.nodes.action_config import ActionConfig
from engine.nodes.duration import Duration

MAX_SOURCE = 20_000
FAILED = "failed"
Branch = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Argument = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class CodeConfig(ActionConfig):
    """The code, what it is told, and where it may lead."""

    callable: str | None = Field(None, min_length=1, max_length=128, description="The name of a registered function.")
    source: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_SOURCE,
        description="Python that knows `context` and `args`; its last expression, or what it returns, is the result.",
    )
    args: dict[Argument, Any] = Field(
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


def contradictions(config: CodeConfig) -> Iterator[str]:
    """Give what does not go together."""
    if (config.callable is None) == (config.source is None):
        yield "give either callable or source"
    if config.callable is not None and "context" in config.args:
        yield "args: a function is given its context already; choose another name"
    if len(set(config.branches)) != len(config.branches):
        yield "branches: each name may stand there once"
    if config.on_failure == "branch" and FAILED in config.branches:
        yield "branches: failed is where on_failure leads already"
