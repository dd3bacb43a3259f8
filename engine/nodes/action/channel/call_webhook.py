"""Call another system."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine.nodes import base, registry, webhook_call
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Category, Node, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Outcome
from engine.nodes.references import Reference
from engine.nodes.webhook_call import HeaderName, Url
from engine.signatures import Scheme


@registry.node
class CallWebhook(Node):
    """An HTTP request, and its JSON answer."""

    type = "call_webhook"
    category = Category.ACTION
    title = "Call webhook"
    description = "Calls another system over HTTP, with retries, and keeps the JSON that it answers."
    runs_as = RunsAs.ACTIVITY
    result_schema: ClassVar[JSON] = webhook_call.RESULT_SCHEMA

    class Config(ActionConfig):
        """The request."""

        url: Url | Reference = Field(description="The address, https:// and a public host.")
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field("POST", description="The HTTP method.")
        headers: dict[HeaderName, str | Reference] = Field({}, description="Further headers.")
        body: Any = Field(
            None,
            description="The JSON to send; references in it are filled in.",
            json_schema_extra={"type": ["object", "array", "string", "number", "boolean", "null"]},
        )
        secret: str | None = Field(
            None,
            min_length=1,
            max_length=200,
            description="The name of a secret: sent as a Bearer token, or signed with.",
        )
        sign: Scheme | None = Field(
            None, description="Sign with the secret instead: standard (Standard Webhooks) or hmac-sha256."
        )

    def validate(self, config: Config) -> list[str]:
        """Only a secret can sign."""
        return ["sign needs a secret"] if config.sign and config.secret is None else []

    def references_of(self, config: Config) -> Iterable[base.Reference]:
        """The secret."""
        return () if config.secret is None else (base.Reference("secret", config.secret, "secret"),)

    def notices(self, config: Config, now: datetime) -> Iterable[base.Notice]:
        """A call that anybody on the way can read."""
        if isinstance(config.url, str) and config.url.startswith("http://"):
            yield base.Notice("insecure_url", "url", "this is sent unencrypted; use https://")

    def prepare(self, config: Config, step: StepContext) -> JSON:
        """Fill in the references."""
        return {
            "url": step.resolve(config.url),
            "method": config.method,
            "headers": webhook_call.as_headers(step.resolve(config.headers)),
            "body": step.resolve(config.body),
        }

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Call once."""
        token = webhook_call.Token(config.secret, config.sign)
        return webhook_call.call(step, token, timeout=config.timeout)

    def rehearse(self, config: Config, step: StepContext) -> Outcome:
        """Take it that the other side was content and said nothing."""
        return Completed({"status": "ok", "http_status": 200, "response": None})
