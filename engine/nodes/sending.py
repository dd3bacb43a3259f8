"""A message as a node makes it: queued with the step, and waited for where the author says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from uuid_utils import uuid7

from engine.nodes import base
from engine.nodes.base import Category, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.message_vars import references_in
from engine.nodes.outcomes import JSON, Completed, Failed, Outcome, Waiting
from engine.nodes.send_config import ENDINGS, SendConfig
from engine.nodes.wakeups import EventArrived, Wakeup
from engine.ports import Message

MAX_KEY: Final = 255
RESULT_SCHEMA: Final[JSON] = {
    "type": "object",
    "properties": {
        "delivery_id": {"type": "string"},
        "channel": {"type": "string"},
        "status": {"description": "queued, or what the run waited for: sent, delivered, skipped, failed, timed_out …"},
        "reason": {"description": "Why it was skipped or failed: a reason code."},
        "delivery": {"description": "`state`, `opened` and `clicked` as they are when they are read."},
    },
}


class Send(Node):
    """Base of the nodes that send: one per channel, which is the rest of its type's name."""

    category = Category.ACTION
    runs_as = RunsAs.INLINE
    on_failure = "continue"
    result_schema: ClassVar[JSON] = RESULT_SCHEMA
    Config: ClassVar[type[SendConfig]] = SendConfig

    @property
    def channel(self) -> str:
        """The channel that it sends by."""
        return self.type.removeprefix("send_")

    def validate(self, config: SendConfig) -> list[str]:
        """A message is a template or says itself, and not both."""
        if (config.template_id is None) == (config.content is None):
            return ["name a template_id, or write the content"]
        if config.locales is not None and config.content is None:
            return ["locales belong to a content; those of a template are its own"]
        return ["wait_for needs a status"] if config.wait_for == () else []

    def references_of(self, config: Any) -> Iterable[base.Reference]:
        """The provider, the template, the topic, and what the vars name."""
        own = config.provider_opts.get("provider")
        name = f"{self.channel}:{own}" if isinstance(own, str) else self.channel
        yield base.Reference("provider", name, "provider_opts")
        if config.template_id is not None:
            yield base.Reference("template", config.template_id, "template_id")
        if config.topic is not None:
            yield base.Reference("topic", config.topic, "topic")
        yield from references_in(config.vars)

    def facts(self, config: Any, step: StepContext) -> JSON:
        """What only this channel's messages are told."""
        return {}

    def execute(self, config: SendConfig, step: StepContext) -> Outcome:
        """Queue the message, and go on or wait."""
        collapse_key = config.collapse_key and step.resolve(config.collapse_key)
        if collapse_key is not None and not _is_name(collapse_key):
            detail = f"The collapse_key is a text of at most {MAX_KEY} characters, not {str(collapse_key)[:80]!r}."
            return Failed(detail, code="invalid_collapse_key")
        message = self._message(config, step, collapse_key or "")
        result = {"delivery_id": message.delivery_id, "channel": self.channel}
        # A roll-back waits for nothing.
        if not config.awaited or step.result is not None:
            return Completed({**result, "status": "queued", "delivery": {"state": "queued"}}, effects=(message,))
        heard = (*sorted(config.reached_by), *(each for each in ENDINGS if each not in config.reached_by))
        return Waiting(
            until=step.now + config.timeout,
            event_types=tuple(f"{self.channel}_{status}" for status in heard),
            filter={"path": "event.delivery_id", "op": "eq", "value": message.delivery_id},
            data=result,
            effects=(message,),
        )

    def resume(self, config: SendConfig, step: StepContext, wakeup: Wakeup) -> Outcome:
        """Go on with what became of the message."""
        if not isinstance(wakeup, EventArrived):
            sought = " or ".join(config.awaited)
            result = {**step.wait, "status": "timed_out"}
            return Failed(f"The message was not {sought} in time.", code="timeout", result=result)
        status, reason = wakeup.event_type.removeprefix(f"{self.channel}_"), str(wakeup.data.get("reason") or "")
        result = {**step.wait, "status": status, "delivery": {"state": status}}
        if reason:
            result["reason"] = reason
        if status in config.reached_by or status in ("skipped", "cancelled"):
            return Completed(result)
        return Failed(f"The message is {status}{reason and f': {reason}'}.", code=reason or status, result=result)

    def _message(self, config: SendConfig, step: StepContext, collapse_key: str) -> Message:
        payload = {
            "template_id": config.template_id or "",
            "content": config.content,
            "locales": config.locales,
            "vars": config.compiled_vars.resolve(step.scope()),
            "event": _latest_event(step.accumulated),
            "message_class": config.message_class,
            "topic": config.topic or "",
            "expires_at": None if config.expires_in is None else (step.now + config.expires_in).isoformat(),
            "collapse_key": collapse_key,
            "awaited": bool(config.awaited),
            "options": config.provider_opts and step.resolve(config.provider_opts),
            # Where the content stands for as long as anybody asks; that of a compensation stands elsewhere.
            "version": step.run.get("version") if step.result is None else None,
            "retry": config.patience,
            **self.facts(config, step),
        }
        return Message(
            key=step.idempotency_key or f"{step.instance_id}:{step.node_id}:{step.attempt}",
            instance_id=step.instance_id,
            node_id=step.node_id,
            participant_id=step.participant_id,
            channel=self.channel,
            payload={name: value for name, value in payload.items() if value},
            delivery_id=str(uuid7()),
            flow_id=str(step.run.get("flow", "")),
            at=step.now,
            may_repeat=step.result is not None,
        )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_KEY and "\0" not in value


# The event that a template reads: the latest that resolved a wait of this run.
def _latest_event(accumulated: Mapping[str, Any]) -> JSON | None:
    waits = [
        each
        for each in accumulated.values()
        if isinstance(each, dict) and isinstance(each.get("event"), dict) and isinstance(each.get("occurred_at"), str)
    ]
    latest: JSON | None = max(waits, key=lambda each: str(each["occurred_at"]))["event"] if waits else None
    return latest
