"""What the engine asks of the world outside: protocols, and the bundle of those who answer."""

from engine.ports.bundle import Ports, bind, binding, bound
from engine.ports.calls import Busy, CallFailed, HttpCaller, HttpRequest, HttpResponse, SecretLookup, Signing
from engine.ports.messages import (
    Conversion,
    ConversionSink,
    DeliveryLookup,
    Message,
    MessagePreview,
    MessageSender,
    Rehearsed,
)
from engine.ports.nobody import Nobody
from engine.ports.people import (
    CONSENT_STATUSES,
    PreferenceLookup,
    Preferences,
    ProfileChange,
    ProfileStore,
    SegmentLookup,
)

__all__ = [
    "CONSENT_STATUSES",
    "Busy",
    "CallFailed",
    "Conversion",
    "ConversionSink",
    "DeliveryLookup",
    "HttpCaller",
    "HttpRequest",
    "HttpResponse",
    "Message",
    "MessagePreview",
    "MessageSender",
    "Nobody",
    "Ports",
    "PreferenceLookup",
    "Preferences",
    "ProfileChange",
    "ProfileStore",
    "Rehearsed",
    "SecretLookup",
    "SegmentLookup",
    "Signing",
    "bind",
    "binding",
    "bound",
]
