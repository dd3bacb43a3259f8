"""Sending a message once more, because an operator says so: a new message, which names the one it repeats."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db import transaction

from engine import clock
from marketing import caps
from marketing.customers.erasure import PREFIX
from marketing.deliveries import errands
from marketing.errors import NotResendable
from marketing.models import Customer, Delivery
from marketing.models.delivery import DeliveryStatus
from tenants.ids import uuid7

# How a message has to have ended; anything else has arrived, or may still do so.
RESENDABLE: Final = frozenset(
    (
        DeliveryStatus.SKIPPED,
        DeliveryStatus.FAILED,
        DeliveryStatus.CANCELLED,
        DeliveryStatus.UNKNOWN,
        DeliveryStatus.BOUNCED,
    )
)
_COPIED: Final = (
    "tenant_id", "flow_id", "instance_id", "node_id", "participant_id", "channel", "message_class", "topic",
    "template_id", "payload",
)  # fmt: skip


def resend(delivery: Delivery, *, actor: str = "") -> Delivery:
    """
    Queue a message once more and give the new one; it is checked as any other when it goes out.

    Raises NotResendable where the message may have arrived, where it has been sent once more already, or where its
    person has been erased.
    """
    now = clock.now()
    with transaction.atomic():
        whose = Delivery.objects.values_list("participant_id", flat=True).get(pk=delivery.pk)
        _hold(delivery.tenant_id, whose)
        first = Delivery.objects.select_for_update(no_key=True).get(pk=delivery.pk)
        _check(first, whose)
        facts = {name: getattr(first, name) for name in _COPIED}
        key, detail = uuid7(), f"Sent once more by {actor}." if actor else "Sent once more."
        again = Delivery.objects.create(
            id=key, key=f"resend:{key}", resend_of=first.pk, created_at=now, counted_at=now, **facts,
            history=[{"status": "queued", "at": now.isoformat(), "detail": detail}],
        )  # fmt: skip
        caps.queue_many(first.tenant_id, [again])
        errands.run_many(first.tenant_id, [(str(again.pk), None)])
    return again


# Held until the new message is written, and before any message, as merges do: an erasure that is asked for meanwhile
# finds it.
def _hold(tenant_id: UUID, participant_id: str) -> None:
    people = Customer.objects.for_tenant(tenant_id).filter(external_id=participant_id)
    if Customer.State.DELETING in people.select_for_update(no_key=True).values_list("state", flat=True):
        raise NotResendable("Whom it was for is being erased.")


def _check(first: Delivery, whose: str) -> None:
    if first.status not in RESENDABLE:
        raise NotResendable(f"A message that is {first.status} is not sent once more.")
    if first.participant_id.startswith(PREFIX):
        raise NotResendable("Whom it was for has been erased.")
    if first.participant_id != whose:
        raise NotResendable("Whom it was for is just being merged; ask again.")
    later = Delivery.objects.for_tenant(first.tenant_id).filter(participant_id=first.participant_id, resend_of=first.pk)
    if found := later.exclude(status__in=RESENDABLE).first():
        raise NotResendable(f"It has been sent once more already, as {found.pk}, which is {found.status}.")
