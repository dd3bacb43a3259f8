"""Everything that is kept of one person, as one JSON document."""

from typing import Any

from engine.models import InboundEvent
from flows.models import ExecutionStep, FlowInstance
from marketing.customers import addresses
from marketing.models import (
    CapSlot,
    Consent,
    ConsentChange,
    Conversion,
    Coupon,
    Customer,
    Delivery,
    SegmentMember,
    Suppression,
)
from tenants.models import Tenant

JSON = dict[str, Any]

EVENT = ("event_id", "event_type", "data", "occurred_at", "received_at", "source")
INSTANCE = ("id", "flow_id", "status", "exit_reason", "correlation_key", "context", "entered_at", "completed_at")
STEP = ("instance_id", "n", "node_id", "node_type", "status", "branch", "input", "output", "error", "started_at")
DELIVERY = (
    "id",
    "instance_id",
    "node_id",
    "channel",
    "recipient",
    "status",
    "reason",
    "template_id",
    "topic",
    "payload",
    "rendered",
    "history",
    "created_at",
    "sent_at",
    "read_at",
)
CAP_SLOT = ("flow_id", "instance_id", "node_id", "channel", "reserved_at")
CONVERSION = ("instance_id", "name", "value", "currency", "variant", "metadata", "at")
COUPON = ("pool__slug", "code", "taken_at")
CONSENT = ("topic", "status", "source", "at")
SUPPRESSION = ("channel", "address", "reason", "detail", "created_at")
CHANGE = ("channel", "topic", "before", "after", "source", "at")


def export(tenant: Tenant, customer: Customer) -> JSON:
    """Gather a customer's data, also of the profiles that were merged into this one; oldest first."""
    merged = Customer.objects.for_tenant(tenant).filter(state=Customer.State.MERGED, merged_into=customer.external_id)
    names = [customer.external_id, *merged.values_list("external_id", flat=True)]
    runs = FlowInstance.objects.for_tenant(tenant).filter(participant_id__in=names).order_by("id")
    steps = ExecutionStep.objects.filter(instance__in=runs.values("id")).order_by("instance_id", "n")
    mine = {"participant_id__in": names}
    return {
        "ids": names,
        "devices": list(customer.push_tokens.order_by("id").values("token", "platform", "created_at")),
        "segments": list(
            SegmentMember.objects.for_tenant(tenant).filter(customer=customer).values("segment__slug", "since")
        ),
        "consents": list(Consent.objects.for_tenant(tenant, **mine).order_by("id").values(*CONSENT)),
        "consent_changes": list(ConsentChange.objects.for_tenant(tenant, **mine).order_by("id").values(*CHANGE)),
        "events": list(InboundEvent.objects.for_tenant(tenant).filter(**mine).order_by("id").values(*EVENT)),
        "instances": list(runs.values(*INSTANCE)),
        "steps": list(steps.values(*STEP)),
        "deliveries": list(Delivery.objects.filter(tenant=tenant, **mine).order_by("id").values(*DELIVERY)),
        "suppressions": _suppressions(tenant, names),
        "cap_slots": list(CapSlot.objects.for_tenant(tenant, **mine).order_by("id").values(*CAP_SLOT)),
        "conversions": list(Conversion.objects.for_tenant(tenant, **mine).order_by("id").values(*CONVERSION)),
        "coupons": list(Coupon.objects.for_tenant(tenant, **mine).order_by("id").values(*COUPON)),
    }


# Of the addresses, and so found by them.
def _suppressions(tenant: Tenant, names: list[str]) -> list[JSON]:
    channels, spelt = addresses.of_people(tenant.pk, names)
    wanted = set(zip(channels, spelt, strict=True))
    rows = Suppression.objects.for_tenant(tenant).filter(channel__in=set(channels), address__in=spelt).order_by("id")
    return [row for row in rows.values(*SUPPRESSION) if (row["channel"], row["address"]) in wanted]
