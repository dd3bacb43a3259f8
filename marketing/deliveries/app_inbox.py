"""The inbox of a participant's app: what is in it, and what becomes of it there."""

from __future__ import annotations

from typing import Literal

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from engine import clock
from marketing.channels.provider import Report
from marketing.customers import profiles
from marketing.deliveries import reports, telling
from marketing.deliveries.telling import Told
from marketing.models import Customer, Delivery
from marketing.models.delivery import DeliveryStatus
from tenants.managers import TenantScopedQuerySet
from tenants.models import Tenant

CHANNEL = "in_app"
SHOWN = (DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.OPENED, DeliveryStatus.CLICKED)


def messages(tenant: Tenant, external_id: str) -> TenantScopedQuerySet[Delivery]:
    """Give what a customer's app shows, also what was sent to a profile that was merged into this one."""
    customer = profiles.found(tenant, external_id)
    merged = Customer.objects.for_tenant(tenant).filter(state=Customer.State.MERGED, merged_into=customer.external_id)
    names = [customer.external_id, *merged.values_list("external_id", flat=True)]
    rows = Delivery.objects.for_tenant(tenant).filter(participant_id__in=names, channel=CHANNEL, status__in=SHOWN)
    return rows.filter(Q(shown_until=None) | Q(shown_until__gt=clock.now()), dismissed_at=None)


def read(message: Delivery) -> Delivery:
    """Note that the message was read; said twice, it counts once."""
    return _note(message, "opened")


def click(message: Delivery) -> Delivery:
    """Note that what the message offers was taken up; it was read, then, too."""
    return _note(message, "clicked")


def dismiss(message: Delivery) -> Delivery:
    """Show the message no more."""
    with transaction.atomic():
        now = clock.now()
        rows = Delivery.objects.for_tenant(message.tenant_id).filter(pk=message.pk, dismissed_at=None)
        if rows.update(dismissed_at=now):
            telling.tell_all(message.tenant_id, [_told(message, "dismissed")])
    message.refresh_from_db()
    return message


def _note(message: Delivery, status: Literal["opened", "clicked"]) -> Delivery:
    with transaction.atomic():
        reports.record_many(message.tenant_id, [Report(CHANNEL, status, delivery_id=str(message.pk))])
        rows = Delivery.objects.for_tenant(message.tenant_id).filter(pk=message.pk, read_at=None)
        rows.update(read_at=Coalesce("read_at", clock.now()))
    message.refresh_from_db()
    return message


def _told(message: Delivery, status: str) -> Told:
    return Told(
        str(message.pk), message.channel, message.participant_id, _text(message.flow_id), _text(message.instance_id),
        message.node_id, message.template_id, message.awaited, status,
    )  # fmt: skip


def _text(key: object) -> str | None:
    return None if key is None else str(key)
