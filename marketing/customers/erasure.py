"""
Erasing a person: asked for in one transaction, done in the background, in steps that may be repeated.

What stays is what the law and the figures need: events, steps, deliveries and conversions without content, and the
audit of consents, all under a pseudonym that only the same external_id gives. See docs/explanation/erasure.md.
"""

from __future__ import annotations

import time
from typing import Any, Final

import orjson
from django.db import transaction
from django.utils.crypto import salted_hmac

from engine import chores, clock, erasure
from engine.chores import Chore
from engine.connections import execute
from engine.models import Job
from marketing.customers import addresses, profiles
from marketing.models import Customer
from tenants.models import Tenant

JSON = dict[str, Any]
PREFIX: Final = "erased:"

IS_DUE = "SELECT 1 FROM jobs WHERE kind = 'erasure' AND status IN ('queued', 'running') LIMIT 1"
TAKE = """
    SELECT id, tenant_id, params, actor FROM jobs WHERE kind = 'erasure' AND status IN ('queued', 'running')
     ORDER BY random() LIMIT 1
"""
# Whoever was merged into this one is the same person.
NAMES = """
    SELECT external_id FROM customers
     WHERE tenant_id = %(tenant)s AND (id = %(id)s OR (state = 'merged' AND merged_into = %(external_id)s))
"""
COMPLETE = """
    UPDATE jobs SET status = 'completed', done = 1, succeeded = 1, completed_at = clock_timestamp()
     WHERE id = %s AND status IN ('queued', 'running')
"""
# First, and in the order in which merges and batches take them.
LOCK = "SELECT 1 FROM customers WHERE tenant_id = %s AND external_id = ANY(%s) ORDER BY external_id FOR UPDATE"
# The address goes on being one that nothing is sent to; of whom it was, and what was said of it, nobody knows.
FORGET_SUPPRESSIONS: Final = """
    UPDATE suppressions s SET detail = '{}'
      FROM unnest(%(channels)s::text[], %(addresses)s::text[]) AS n(channel, address)
     WHERE s.tenant_id = %(tenant)s AND s.channel = n.channel AND s.address = n.address
"""
# Each is told who (n.id), and the pseudonym (n.pseudonym).
FORGET: Final = (
    # What is being handed over at this moment is finished; nothing else goes out.
    """
    UPDATE deliveries d
       SET participant_id = n.pseudonym, recipient = '', payload = '{}', rendered = NULL, collapse_key = '',
           due_at = NULL,
           history = (SELECT coalesce(jsonb_agg(h - 'detail' - 'url'), '[]') FROM jsonb_array_elements(d.history) AS h),
           reason = CASE WHEN d.status IN ('queued', 'claimed') AND d.claim = '' THEN 'participant_deleted'
                         ELSE d.reason END,
           status = CASE WHEN d.status IN ('queued', 'claimed') AND d.claim = '' THEN 'cancelled' ELSE d.status END
      FROM names n WHERE d.tenant_id = %(tenant)s AND d.participant_id = n.id
    """,
    """
    UPDATE conversions c SET participant_id = n.pseudonym, metadata = '{}'
      FROM names n WHERE c.tenant_id = %(tenant)s AND c.participant_id = n.id
    """,
    """
    UPDATE coupons c SET participant_id = n.pseudonym
      FROM names n WHERE c.tenant_id = %(tenant)s AND c.participant_id = n.id
    """,
    """
    UPDATE consent_changes c SET participant_id = n.pseudonym
      FROM names n WHERE c.tenant_id = %(tenant)s AND c.participant_id = n.id
    """,
    """
    UPDATE jobs j
       SET errors = (SELECT jsonb_agg(CASE WHEN n.id IS NULL THEN e.item
                                           ELSE e.item || jsonb_build_object('participant_id', n.pseudonym) END
                                      ORDER BY e.place)
                       FROM jsonb_array_elements(j.errors) WITH ORDINALITY AS e(item, place)
                       LEFT JOIN names n ON n.id = e.item ->> 'participant_id')
     WHERE j.tenant_id = %(tenant)s AND EXISTS (
        SELECT 1 FROM names n WHERE j.errors @> jsonb_build_array(jsonb_build_object('participant_id', n.id)))
    """,
    "DELETE FROM cap_slots c USING names n WHERE c.tenant_id = %(tenant)s AND c.participant_id = n.id",
    "DELETE FROM consents c USING names n WHERE c.tenant_id = %(tenant)s AND c.participant_id = n.id",
    "DELETE FROM segment_due s USING names n WHERE s.tenant_id = %(tenant)s AND s.participant_id = n.id",
    """
    DELETE FROM segment_members m USING customers c, names n
     WHERE c.tenant_id = %(tenant)s AND c.external_id = n.id AND m.customer_id = c.id
    """,
    """
    DELETE FROM push_tokens p USING customers c, names n
     WHERE c.tenant_id = %(tenant)s AND c.external_id = n.id AND p.customer_id = c.id
    """,
    # Somebody of the same external_id may have been erased before; one row remembers it.
    "DELETE FROM customers c USING names n WHERE c.tenant_id = %(tenant)s AND c.external_id = n.pseudonym",
    """
    UPDATE customers c
       SET external_id = n.pseudonym, email = '', phone = '', name = '', timezone = '', locale = '', properties = '{}',
           tags = '{}', preferences = '{}', state = 'erased', merged_into = '', last_seen_at = NULL,
           updated_at = %(now)s
      FROM names n WHERE c.tenant_id = %(tenant)s AND c.external_id = n.id
    """,
)
WITH_NAMES = "WITH names AS (SELECT * FROM unnest(%(ids)s::text[], %(pseudonyms)s::text[]) AS n(id, pseudonym)) "


def connect() -> None:
    """Have erasures done in the background."""
    chores.register(Chore("erasure", is_due, run))


def request(tenant: Tenant, external_id: str, *, actor: str = "") -> Job:
    """Take a customer out of every flow from now on, and have all about them erased; asked again, the same job."""
    with transaction.atomic():
        customer = profiles.found(tenant, external_id, lock=True)
        if customer.state == Customer.State.DELETING:
            open_jobs = Job.objects.for_tenant(tenant).filter(kind="erasure", params__customer=str(customer.pk))
            return open_jobs.latest("created_at")
        customer.state, customer.updated_at = Customer.State.DELETING, clock.now()
        customer.save(update_fields=["state", "updated_at"])
        params = {"customer": str(customer.pk)}
        job = Job.objects.create(tenant=tenant, kind="erasure", action="erase", params=params, actor=actor, matched=1)
        chores.ring_on_commit()
    return job


def pseudonym_of(tenant_id: Any, external_id: str) -> str:
    """Give the name under which an erased person's audit is kept: the same for the same id, and no way back."""
    return PREFIX + salted_hmac(f"kalcifer.erasure.{tenant_id}", external_id, algorithm="sha256").hexdigest()[:40]


def is_due() -> bool:
    """Whether an erasure is under way."""
    return execute(IS_DUE).fetchone() is not None


def run(slice_s: float) -> bool:
    """Erase until nobody is left, or the slice is over."""
    until, did = time.monotonic() + slice_s, False
    while time.monotonic() < until and erase_one():
        did = True
    return did


def erase_one() -> bool:
    """Erase one person; False where nobody is to be erased, or a roll-back of theirs has to end first."""
    row = execute(TAKE).fetchone()
    if row is None:
        return False
    job_id, tenant_id, params, actor = row
    customer = Customer.objects.get(pk=orjson.loads(params)["customer"])
    if customer.state == Customer.State.ERASED:
        return execute(COMPLETE, [job_id]).rowcount > 0
    facts = {"tenant": tenant_id, "id": customer.pk, "external_id": customer.external_id}
    names = [found[0] for found in execute(NAMES, facts).fetchall()]
    pseudonyms = {name: pseudonym_of(tenant_id, name) for name in names}
    erasure.forget_starts(tenant_id, pseudonyms)
    erasure.end_runs(tenant_id, names, actor=actor)
    if not erasure.forget_runs(tenant_id, pseudonyms):
        return False
    with transaction.atomic(durable=True):
        execute(LOCK, [tenant_id, names])
        erasure.forget_events(tenant_id, pseudonyms)
        _forget(tenant_id, pseudonyms)
        execute(COMPLETE, [job_id])
    return True


def _forget(tenant_id: str, pseudonyms: dict[str, str]) -> None:
    parameters = {
        "tenant": tenant_id,
        "ids": list(pseudonyms),
        "pseudonyms": list(pseudonyms.values()),
        "now": clock.now(),
    }
    channels, spelt = addresses.of_people(tenant_id, list(pseudonyms))
    execute(FORGET_SUPPRESSIONS, {"tenant": tenant_id, "channels": channels, "addresses": spelt})
    for statement in FORGET:
        execute(WITH_NAMES + statement, parameters)
