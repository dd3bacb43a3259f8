"""Put a message into the participant's inbox in the app."""

from collections.abc import Iterable

from pydantic import Field

from engine.nodes import base, registry
from engine.nodes.context import StepContext
from engine.nodes.duration import Duration
from engine.nodes.outcomes import JSON
from engine.nodes.send_config import Name, SendConfig
from engine.nodes.sending import Send


@registry.node
class SendInApp(Send):
    """A message that the app reads from the inbox and shows where `placement` says."""

    type = "send_in_app"
    title = "Send in-app message"
    description = "Puts a message into the participant's inbox, for the app to show."

    class Config(SendConfig):
        """Where it is shown, and until when."""

        placement: Name | None = Field(None, description="Where the app shows it; without it, wherever it likes.")
        expiry: Duration | None = Field(None, description="How long it is shown; for ever without it.")

    def references_of(self, config: Config) -> Iterable[base.Reference]:
        """What every message names, and the placement."""
        yield from super().references_of(config)
        if config.placement is not None:
            yield base.Reference("placement", config.placement, "placement")

    def facts(self, config: Config, step: StepContext) -> JSON:
        """Where, and until when."""
        until = None if config.expiry is None else (step.now + config.expiry).isoformat()
        return {"placement": config.placement, "shown_until": until}
