"""Start when another system calls."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from engine import incoming, signatures
from engine.nodes import registry
from engine.nodes.base import Category, Node, NodeConfig, Reference, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON, Completed, Outcome


@registry.node
class WebhookEntry(Node):
    """A signed call starts the flow."""

    type = "webhook_entry"
    category = Category.TRIGGER
    title = "Webhook"
    description = (
        "Starts the flow when another system calls its address; the body, or what `map` takes of it, is `entry`."
    )
    runs_as = RunsAs.INLINE
    result_schema: ClassVar[JSON] = {"type": "object", "properties": {}}

    class Config(NodeConfig):
        """Where the call comes in, who may make it, and what is taken from it."""

        webhook_path: str = Field(
            min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$", description="The last part of the address."
        )
        signature: incoming.Signature | None = Field(
            None, description="How calls are signed; without it, any call starts."
        )
        participant_id_path: str = Field(
            "participant_id", min_length=1, max_length=500, description="Where in the body the participant's id stands."
        )
        event_id_path: str | None = Field(
            None, min_length=1, max_length=500, description="Where the call's own id stands; the same id starts once."
        )
        map: dict[str, str] = Field(
            {}, description="Names in `entry` and where in the body they stand; empty: the whole body."
        )

    def references_of(self, config: Config) -> Iterable[Reference]:
        """The secret of the signature."""
        return () if config.signature is None else (Reference("secret", config.signature.secret, "signature.secret"),)

    def execute(self, config: Config, step: StepContext) -> Outcome:
        """Complete: what starts the flow has happened already."""
        return Completed()

    def secret_of(self, config: Config) -> str | None:
        """Name the secret that `verify` needs."""
        return None if config.signature is None else config.signature.secret

    def verify(self, config: Config, secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
        """Tell whether a call is signed as declared; `now` is wall time."""
        try:
            if config.signature is not None:
                config.signature.verify(secret, headers, body, now)
        except signatures.InvalidSignature:
            return False
        return True

    def extract(self, config: Config, body: Any) -> incoming.Call:
        """Give whom the call is about, and the entry."""
        return incoming.read(body, config.participant_id_path, config.event_id_path, config.map)
