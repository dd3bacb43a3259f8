"""Send a text message."""

from engine.nodes import registry
from engine.nodes.sending import Send


@registry.node
class SendSms(Send):
    """A message to the participant's phone."""

    type = "send_sms"
    title = "Send SMS"
    description = "Writes a text message to the participant's phone."
