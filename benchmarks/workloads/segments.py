"""A segment of a million customers evaluated from scratch, and how soon one change is a membership event."""

import time
from typing import Any

from benchmarks import figures
from benchmarks.bench import Bench, wait_until
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from engine.connections import execute
from engine.models import InboundEvent
from marketing.models import Customer, Segment
from marketing.segments import catalog, changes, due, evaluation

PROPERTIES = {
    "all": [
        {"path": "participant.plan", "op": "eq", "value": "pro"},
        {"path": "participant.logins", "op": "gte", "value": 50},
    ]
}
EVENTS = {
    "all": [
        {"path": "participant.tags", "op": "contains", "value": "third"},
        {"event": "bought", "times": {"at_least": 1}, "within": "30d"},
    ]
}
CHANGES = 50

MAKE_CUSTOMERS = f"""
    INSERT INTO customers (id, tenant_id, external_id, email, phone, name, timezone, locale, properties, tags,
                           preferences, state, merged_into, created_at, updated_at)
    SELECT {evaluation.NEW_ID}, %(tenant)s, 'customer-' || n, 'customer-' || n || '@example.org', '', 'Customer ' || n,
           'Europe/Berlin', 'de', jsonb_build_object('plan', (ARRAY['free', 'basic', 'pro'])[1 + n %% 3],
           'logins', n %% 100, 'city', 'City ' || n %% 500), CASE WHEN n %% 3 = 0 THEN ARRAY['third'] ELSE '{{}}' END,
           '{{}}', 'active', '', now(), now()
      FROM generate_series(1, %(count)s) AS n
"""
MAKE_EVENTS = """
    INSERT INTO inbound_events (id, tenant_id, event_id, participant_id, event_type, data, occurred_at, received_at,
                                source, entry_node, causation_depth, correlation_id, routed_at, effects)
    SELECT gen_random_uuid(), %(tenant)s, 'bought-' || n, 'customer-' || n, 'bought', '{}', now() - interval '1 day',
           now(), 'bench', '', 0, '', now(), '[]'
      FROM generate_series(1, %(count)s, 4) AS n
"""


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    customers = bench.size(1_000_000, 50_000)
    began = time.perf_counter()
    for statement in (MAKE_CUSTOMERS, MAKE_EVENTS):
        execute(statement, {"tenant": bench.tenant.pk, "count": customers})
    execute("VACUUM ANALYZE customers, inbound_events")
    bench.note(f"  {customers:,} customers made in {time.perf_counter() - began:.0f} s")
    pros = sum(n % 3 == 2 and n % 100 >= 50 for n in range(1, customers + 1))  # noqa: PLR2004  # as made above
    by_properties = _evaluate(bench, "properties", PROPERTIES, customers, pros)
    buyers = sum(n % 3 == 0 and n % 4 == 1 for n in range(1, customers + 1))
    by_events = _evaluate(bench, "events", EVENTS, customers, buyers)
    return {
        "customers_per_s": figures.of_runs([customers / seconds for seconds in by_properties]),
        "by_events_per_s": figures.of_runs([customers / seconds for seconds in by_events]),
        "customers": customers,
        "seconds": figures.of_runs(by_properties),
        "by_events_seconds": figures.of_runs(by_events),
        "change_to_event_s": _follow(bench),
        "changes": CHANGES,
    }


def _evaluate(bench: Bench, name: str, rule: Any, customers: int, expected: int) -> list[float]:
    times = []
    for number in range(1, bench.runs + 1):
        segment = catalog.create(bench.tenant, {"slug": f"{name}-{number}", "rule": rule})
        before, began = Reading.now(), time.perf_counter()
        while due.run(60.0):
            pass
        times.append(time.perf_counter() - began)
        cost = Reading.now().since(before, customers)
        found = Segment.objects.get(pk=segment.pk)
        if found.evaluated_at is None or found.member_count != expected:
            raise Unaccounted(f"The segment {name} should have {expected} members; it has {found.member_count}.")
        bench.note(f"  {name}, run {number}: {times[-1]:.1f} s, {found.member_count:,} members, {cost}")
        segment.delete()
    return times


# From the commit of a change to the commit of the event that tells of it, with every process of the product.
def _follow(bench: Bench) -> dict[str, float]:
    catalog.create(bench.tenant, {"slug": "followed", "rule": {"path": "participant.followed", "op": "exists"}})
    with bench.running():
        wait_until(lambda: Segment.objects.get(slug="followed").evaluated_at, what="the segment to be evaluated")
        times = [_one(number) for number in range(CHANGES)]
    return {name: round(figures.percentile(times, percent), 3) for name, percent in (("p50", 50), ("p99", 99))}


def _one(number: int) -> float:
    customer = Customer.objects.get(external_id=f"customer-{number + 1}")
    customer.properties["followed"] = True
    customer.save(update_fields=["properties"])
    changes.note(customer.tenant_id, [customer.external_id], {"fields": ["properties.followed"]})
    began = time.perf_counter()
    told = InboundEvent.objects.filter(participant_id=customer.external_id, event_type="segment.entered")
    wait_until(told.exists, what="the membership event", tick=0.005)
    return time.perf_counter() - began
