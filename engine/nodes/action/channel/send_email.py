"""Send an e-mail."""

from engine.nodes import registry
from engine.nodes.sending import Send


@registry.node
class SendEmail(Send):
    """A message to the participant's e-mail address."""

    type = "send_email"
    title = "Send email"
    description = "Writes an e-mail to the participant's address."
