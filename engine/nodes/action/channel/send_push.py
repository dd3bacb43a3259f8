"""Send a push notification."""

from pydantic import Field

from engine.nodes import registry
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON
from engine.nodes.references import Reference
from engine.nodes.send_config import SendConfig
from engine.nodes.sending import Send


@registry.node
class SendPush(Send):
    """A notification on every device that the participant has registered."""

    type = "send_push"
    title = "Send push"
    description = "Notifies the participant on their devices."

    class Config(SendConfig):
        """What it leads to."""

        deep_link: str | Reference | None = Field(
            None, description="What a tap opens; it takes the place of the template's own deep_link."
        )

    def facts(self, config: Config, step: StepContext) -> JSON:
        """The deep link."""
        link = step.resolve(config.deep_link)
        return {"deep_link": link} if isinstance(link, str) else {}
