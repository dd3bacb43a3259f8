"""An anonymous profile turns out to be a known person: one profile goes on, with what both were."""

from typing import Any, Final

from django.db import transaction

from engine import clock, handovers
from engine.connections import execute
from marketing.consent import preferences
from marketing.customers import fields
from marketing.errors import CustomerErased, NotMergeable
from marketing.models import Customer
from marketing.segments import changes
from tenants.errors import NotFound
from tenants.models import Tenant

JSON = dict[str, Any]
State = Customer.State

# What the known one has said counts; of the rest the other one's word does.
MOVE_CONSENTS: Final = """
    UPDATE consents c SET participant_id = %(to)s
     WHERE c.tenant_id = %(tenant)s AND c.participant_id = %(from)s
       AND NOT EXISTS (SELECT 1 FROM consents k
                        WHERE k.tenant_id = c.tenant_id AND k.participant_id = %(to)s AND k.topic = c.topic)
"""
DROP_CONSENTS: Final = "DELETE FROM consents WHERE tenant_id = %(tenant)s AND participant_id = %(from)s"
MOVE_TOKENS: Final = "UPDATE push_tokens SET customer_id = %(new)s WHERE customer_id = %(old)s"
# What either has done is the known one's; what nobody routed yet reaches the runs that go on.
MOVE_EVENTS: Final = """
    UPDATE inbound_events SET participant_id = %(to)s WHERE tenant_id = %(tenant)s AND participant_id = %(from)s
"""
# What either was sent counts against the caps of the one that goes on.
MOVE_DELIVERIES: Final = """
    WITH theirs AS MATERIALIZED (
        SELECT id FROM deliveries WHERE tenant_id = %(tenant)s AND participant_id = %(from)s
         ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE deliveries d SET participant_id = %(to)s FROM theirs WHERE d.id = theirs.id
"""
MOVE_SLOTS: Final = """
    UPDATE cap_slots SET participant_id = %(to)s WHERE tenant_id = %(tenant)s AND participant_id = %(from)s
"""
# What either has reached is the known one's.
MOVE_CONVERSIONS: Final = """
    UPDATE conversions SET participant_id = %(to)s WHERE tenant_id = %(tenant)s AND participant_id = %(from)s
"""
LEAVE_SEGMENTS: Final = "DELETE FROM segment_members WHERE customer_id = %(old)s"
# One hop is always enough.
POINT_ON: Final = """
    UPDATE customers SET merged_into = %(to)s
     WHERE tenant_id = %(tenant)s AND state = 'merged' AND merged_into = %(from)s
"""


_STATEMENTS: Final = (
    MOVE_CONSENTS, DROP_CONSENTS, MOVE_TOKENS, MOVE_EVENTS, MOVE_DELIVERIES, MOVE_SLOTS,
    MOVE_CONVERSIONS, LEAVE_SEGMENTS, POINT_ON
)  # fmt: skip


def merge(tenant: Tenant, external_id: str, into: str, *, actor: str = "") -> Customer:
    """
    Merge a customer into another and give that one; repeated, it changes nothing.

    The known one's fields and preferences win, tags are united, live runs go on for the known one.
    """
    with transaction.atomic():
        if _is_merged_into(tenant, external_id, into):
            return Customer.objects.for_tenant(tenant).get(external_id=into)
        handovers.hand_over(tenant.pk, external_id, into, actor=actor)
        old, known = _locked(tenant, external_id, into)
        _unite(old, known, actor)
        facts = {"tenant": str(tenant.pk), "from": external_id, "to": into, "old": old.pk, "new": known.pk}
        for statement in _STATEMENTS:
            execute(statement, facts)
        old.state, old.merged_into, old.updated_at = State.MERGED, into, known.updated_at
        for name in fields.COLUMNS:
            setattr(old, name, "")
        old.properties, old.tags, old.preferences = {}, [], {}
        old.save()
        changes.note(tenant.pk, [into], {"fields": [changes.EVERYTHING]})
    return known


def _is_merged_into(tenant: Tenant, external_id: str, into: str) -> bool:
    rows = Customer.objects.for_tenant(tenant).filter(external_id=external_id, state=State.MERGED, merged_into=into)
    return rows.exists()


# In the order of their ids, as every batch locks customers.
def _locked(tenant: Tenant, external_id: str, into: str) -> tuple[Customer, Customer]:
    if external_id == into:
        raise NotMergeable("A customer cannot be merged into itself.", attr="into")
    rows = Customer.objects.for_tenant(tenant).exclude(state=State.ERASED).filter(external_id__in=[external_id, into])
    found = {each.external_id: each for each in rows.order_by("external_id").select_for_update(no_key=True)}
    if external_id not in found:
        raise NotFound("There is no customer with this external_id.")
    if into not in found:
        raise NotMergeable("There is no customer of this id to merge into.", attr="into")
    for each in found.values():
        if each.state == State.DELETING:
            raise CustomerErased
        if each.state == State.MERGED:
            raise NotMergeable(f"{each.external_id} is merged into {each.merged_into} already.", attr="into")
    return found[external_id], found[into]


def _unite(old: Customer, known: Customer, actor: str) -> None:
    for name in fields.COLUMNS:
        setattr(known, name, getattr(known, name) or getattr(old, name))
    known.properties = fields.merged(old.properties, known.properties)
    known.tags = fields.with_tags([*known.tags, *old.tags])[: fields.MAX_TAGS]
    known.last_seen_at = max(filter(None, (known.last_seen_at, old.last_seen_at)), default=None)
    known.updated_at = clock.now()
    known.save()
    # A no of either is a no: nobody is written to again because two profiles became one.
    united = preferences.overlaid(old.preferences, known.preferences)
    for channel, topics in old.preferences.items():
        united[channel] |= {topic: False for topic, said in topics.items() if said is False}
    preferences.put(known, united, source="merge", actor=actor)
