"""What happens when somebody uses a link: nothing by looking at it, and once by confirming it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from uuid import UUID

from django.db import transaction

from engine import clock
from engine.inbox import publish_event
from marketing.consent import preferences, recording
from marketing.consent.recording import Said
from marketing.customers import profiles
from marketing.links.tokens import Ticket
from marketing.models import Customer
from marketing.segments import changes
from tenants.errors import NotFound
from tenants.ids import uuid7

EVERYTHING: Final = "*"
SOURCE: Final = "link"


def customer_of(ticket: Ticket, *, lock: bool = False) -> Customer | None:
    """The customer that a link was sent to, or whom that one was merged into; None for one who was erased."""
    try:
        found = profiles.found(UUID(ticket.tenant_id), ticket.participant_id, lock=lock)
    except NotFound:
        return None
    return found if found.state == Customer.State.ACTIVE else None


def unsubscribe(ticket: Ticket, *, everything: bool = False) -> bool:
    """
    Send nothing more of the topic on the link's channel, or nothing at all there; tell whether that is new.

    The preference, its audit and the event `unsubscribed` (`unsubscribed_all`) are one transaction. A repeated call
    changes nothing; one after the customer has subscribed again counts anew.
    """
    with transaction.atomic():
        customer = customer_of(ticket, lock=True)
        topic = EVERYTHING if everything or not ticket.topic else ticket.topic
        if customer is None or customer.preferences.get(ticket.channel, {}).get(topic) is False:
            return False
        _prefer(customer, ticket.channel, topic, wanted=False)
        said = {"channel": ticket.channel}
        publish_event(
            customer.external_id,
            "unsubscribed_all" if topic == EVERYTHING else "unsubscribed",
            data=said if topic == EVERYTHING else {**said, "topic": topic},
            event_id=f"unsubscribe:{uuid7()}",
            tenant=ticket.tenant_id,
            source=SOURCE,
        )
        return True


def confirm(ticket: Ticket, token: str) -> bool:
    """
    Grant the consent that a link asks for; False when there is nobody any more to grant it.

    The consent, its audit and the event `consent_confirmed` are one transaction; the event is the same however often
    the link is used, also by somebody whose consent was granted before.
    """
    with transaction.atomic():
        customer = customer_of(ticket, lock=True)
        if customer is None or not ticket.topic:
            return False
        said = Said(customer.external_id, ticket.topic, "granted", SOURCE, clock.now())
        recording.record_many(ticket.tenant_id, [said], actor="participant")
        if customer.preferences.get(ticket.channel, {}).get(ticket.topic) is False:
            _prefer(customer, ticket.channel, ticket.topic, wanted=True)
        publish_event(
            customer.external_id,
            "consent_confirmed",
            data={"topic": ticket.topic, "channel": ticket.channel},
            event_id=f"consent:{sha256(token.encode()).hexdigest()[:40]}",
            tenant=ticket.tenant_id,
            source=SOURCE,
        )
        return True


# The audit is the merge's; segments that read preferences look at the customer again.
def _prefer(customer: Customer, channel: str, topic: str, *, wanted: bool) -> None:
    preferences.merge(customer, {channel: {topic: wanted}}, source=SOURCE, actor="participant")
    changes.note(customer.tenant_id, [customer.external_id], {"fields": ["preferences"]})
