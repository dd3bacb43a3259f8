"""What every message may be told: what it says, under which rules it is sent, and whether its run waits for it."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema

from engine.nodes.action_config import ActionConfig
from engine.nodes.duration import Duration
from engine.nodes.message_vars import CompiledVars, MessageVars, compile_vars
from engine.nodes.references import Reference

Awaitable = Literal["sent", "delivered", "opened", "clicked", "bounced", "complained", "failed"]
# Whoever waits for one of these is content with a later one.
LADDER: Final = ("sent", "delivered", "opened", "clicked")
# How a message may end without having been sent, or after it.
ENDINGS: Final = ("skipped", "cancelled", "failed", "unknown", "bounced", "complained")

Name = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00]+$")]
Parts = dict[str, str]


def _as_several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


WaitFor = Annotated[
    Awaitable | tuple[Awaitable, ...] | None,
    AfterValidator(_as_several),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["sent", "delivered", "opened", "clicked", "bounced", "complained", "failed"]},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "null"},
            ],
            "description": "The run waits until the message has this status, a later one, or one of several.",
        }
    ),
]


class SendConfig(ActionConfig):
    """Base of every send's config."""

    template_id: Name | None = Field(None, description="The template; or say it here, in content.")
    content: Parts | None = Field(
        None, description="The message itself, by part, in Liquid: subject, html, text, title, body and so on."
    )
    locales: dict[str, Parts] | None = Field(
        None, description='The parts that differ, by locale: {"de": {"subject": "Hallo"}}.'
    )
    vars: MessageVars = Field({}, description="What the message reads as vars.<name>.")
    message_class: Literal["transactional", "service", "marketing"] = Field(
        "marketing",
        description="Transactional messages pass preferences, caps and quiet hours; nothing passes a suppression.",
    )
    topic: Name | None = Field(None, description="The topic that the participant must want to hear of.")
    expires_in: Duration | None = Field(None, description="A message that could not go out by then is dropped.")
    collapse_key: Name | Reference | None = Field(
        None, description="A newer message of the same key takes the place of one that has not been sent."
    )
    wait_for: WaitFor = None
    timeout: Duration = Field(timedelta(days=3), description="How long the run waits for the message, where it waits.")
    provider_opts: dict[str, Any] = Field(
        {}, description="Options for the provider; `provider` names a channel other than the default one."
    )

    @cached_property
    def compiled_vars(self) -> CompiledVars:
        """The vars, as they are read for each message."""
        return compile_vars(self.vars)

    @cached_property
    def patience(self) -> dict[str, Any]:
        """What its author said of retries."""
        return self.retry.model_dump(mode="json", exclude_defaults=True)

    @property
    def awaited(self) -> tuple[str, ...]:
        """The statuses that the run waits for; none when it goes on at once."""
        if self.wait_for is not None:
            return tuple(self.wait_for)
        return ("sent",) if self.on_failure not in (None, "continue") else ()

    @property
    def reached_by(self) -> frozenset[str]:
        """The statuses at which the wait has its end."""
        rungs = [LADDER.index(each) for each in self.awaited if each in LADDER]
        return frozenset(self.awaited).union(LADDER[min(rungs) :] if rungs else ())
