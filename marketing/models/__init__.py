"""What marketing keeps, as rows."""

from marketing.models.consent import CHANNELS, Consent, ConsentChange, Suppression, Topic
from marketing.models.customer import Customer, PushToken
from marketing.models.delivery import CapSlot, Channel, ChannelGate, Conversion, Delivery, DeliveryStatus
from marketing.models.importing import ImportChunk
from marketing.models.journey import Intake, Journey, JourneyStatus
from marketing.models.segment import Segment, SegmentDue, SegmentMember
from marketing.models.tally import Tally
from marketing.models.template import Coupon, CouponPool, Link, Template, TemplateVersion

__all__ = [
    "CHANNELS",
    "CapSlot",
    "Channel",
    "ChannelGate",
    "Consent",
    "ConsentChange",
    "Conversion",
    "Coupon",
    "CouponPool",
    "Customer",
    "Delivery",
    "DeliveryStatus",
    "ImportChunk",
    "Intake",
    "Journey",
    "JourneyStatus",
    "Link",
    "PushToken",
    "Segment",
    "SegmentDue",
    "SegmentMember",
    "Suppression",
    "Tally",
    "Template",
    "TemplateVersion",
    "Topic",
]
