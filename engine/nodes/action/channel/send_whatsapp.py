"""Send a WhatsApp message."""

from pydantic import Field

from engine.nodes import registry
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON
from engine.nodes.references import Reference
from engine.nodes.send_config import SendConfig
from engine.nodes.sending import Send


@registry.node
class SendWhatsapp(Send):
    """A message to the participant's phone, over WhatsApp."""

    type = "send_whatsapp"
    title = "Send WhatsApp"
    description = "Writes a WhatsApp message to the participant's phone."

    class Config(SendConfig):
        """In which language."""

        language: str | Reference | None = Field(
            None, description="The locale of the message; the participant's own without it."
        )

    def facts(self, config: Config, step: StepContext) -> JSON:
        """The language."""
        language = step.resolve(config.language)
        return {"language": language} if isinstance(language, str) else {}
