"""What every action may be told: how long, how often, and what then."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from engine.nodes.base import NodeConfig
from engine.nodes.duration import Duration
from engine.nodes.save_as import SaveAs


class Retry(NodeConfig):
    """How attempts follow each other."""

    attempts: int = Field(5, ge=1, le=100, description="How often it is tried, the first time included.")
    backoff: Duration = Field(
        timedelta(seconds=5), description="The time to the second attempt; each further one doubles it."
    )
    max_interval: Duration = Field(timedelta(minutes=15), description="The longest time between two attempts.")
    non_retryable: tuple[str, ...] = Field(
        (), description='Error codes after which it is not tried again, such as "timeout".'
    )


class ActionConfig(NodeConfig):
    """Base of every action's config."""

    on_failure: Literal["fail", "continue", "exit", "branch"] | None = Field(
        None,
        description="When every attempt failed: fail or end the run, go on, or take the branch failed. Without it an "
        "operator decides.",
    )
    timeout: Duration = Field(timedelta(seconds=30), description="How long one attempt may take.")
    retry: Retry = Field(Retry.model_validate({}), description="When an attempt is followed by another.")
    save_as: SaveAs = None
