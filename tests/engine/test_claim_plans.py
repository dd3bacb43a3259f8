"""Claims look where the work is: an index of what is open, no sort and no scan of the backlog, analysed or not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from engine import activities, event_router, sweeper, timers
from engine.connections import execute
from engine.execution import claim, wakes
from flows.models import Flow
from tenants.models import Tenant
from tests.engine.conftest import NOON
from tests.support.graphs import chain

BACKLOG = 20_000
LIMIT = 250

INSTANCES = """
    INSERT INTO flow_instances (id, tenant_id, flow_id, version_id, participant_id, correlation_key, live_key, status,
                                current_nodes, context, step_count, entered_at, updated_at, completed_at, exit_reason,
                                sequence, priority, runnable, deaths, log_tx)
    SELECT gen_random_uuid(), %(tenant)s, %(flow)s, %(version)s, %(prefix)s || i, '', '', %(status)s, '[]', '{}', 0,
           now(), now(),
           CASE WHEN %(status)s::text = 'completed' THEN now() END, '', 1, 0,
           %(runnable)s, 0, 0
      FROM generate_series(1, %(count)s) i
"""
TIMERS = """
    INSERT INTO timers (id, tenant_id, instance_id, node_id, due_at, held)
    SELECT gen_random_uuid(), tenant_id, id, 'w', %(due)s + row_number() OVER () * interval '1 ms', false
      FROM flow_instances WHERE status = 'waiting'
"""
WAKES = """
    INSERT INTO instance_wakes (tenant_id, rank, instance_id)
    SELECT tenant_id, -priority, id FROM flow_instances WHERE status = 'waiting'
"""
EVENTS = """
    INSERT INTO inbound_events (id, tenant_id, event_id, participant_id, event_type, data, occurred_at, received_at,
                                source, entry_node, causation_depth, correlation_id, effects, routed_at)
    SELECT gen_random_uuid(), %(tenant)s, %(prefix)s || i, %(prefix)s || i, 'happened', '{}', now(), now(), 'api', '',
           0, '', '[]', %(routed)s
      FROM generate_series(1, %(count)s) i
"""
ACTIVITIES = """
    INSERT INTO activities (id, tenant_id, flow_id, instance_id, node_id, kind, target, input, idempotency_key, policy,
                            status, attempts, due_at, worker, held, deaths, created_at)
    SELECT gen_random_uuid(), %(tenant)s, %(flow)s, gen_random_uuid(), 'n', 'node', 't', '{}', gen_random_uuid()::text,
           '{}', %(status)s, 0, now() - interval '1 h', '', false, 0, now()
      FROM generate_series(1, %(count)s) i
"""
# Deleted rows leave a table's size and counts to the planner; new files do not.
EMPTY = "TRUNCATE flow_instances, timers, activities, inbound_events, instance_wakes CASCADE"


@pytest.fixture
def fill(flow_of: Callable[..., Flow], tenant: Tenant, other_tenant: Tenant) -> Iterator[Callable[..., None]]:
    """One tenant with a flood of what is open and what is done, another with a little; or nothing of it is open."""
    flood, little = flow_of(chain(1)), flow_of(chain(1), of=other_tenant)
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)

    def call(size: int = BACKLOG, *, is_open: bool = True) -> None:
        with connection.cursor() as cursor:
            for flow, count in ((flood, size), (little, 200)):
                common = {"tenant": flow.tenant_id, "flow": flow.pk, "version": flow.active_version_id, "count": count}
                for prefix, status, runnable in (
                    ("r", "running", is_open),
                    ("w", "waiting", False),
                    ("c", "completed", False),
                ):
                    cursor.execute(INSTANCES, common | {"prefix": prefix, "status": status, "runnable": runnable})
                for prefix, routed in (("u", None if is_open else NOON), ("d", NOON)):
                    cursor.execute(EVENTS, common | {"prefix": prefix, "routed": routed})
                for status in ("pending" if is_open else "cancelled", "completed"):
                    cursor.execute(ACTIVITIES, common | {"status": status})
            cursor.execute(TIMERS, {"due": NOON.replace(year=2029 if is_open else 2039)})
            if is_open:
                cursor.execute(WAKES)

    yield call
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)


CLAIMS: dict[str, tuple[str, Any]] = {
    "advance": (claim.TAKE, {"limit": LIMIT}),
    "woken": (wakes.TAKE, {"limit": LIMIT}),
    "suspects": (claim.TAKE_SUSPECTS, {}),
    "timers": (timers.TAKE_DUE, {"now": NOON, "limit": LIMIT}),
    "events": (event_router.TAKE_PARTICIPANTS, {"limit": LIMIT}),
    "activities": (activities.FIND, {"limit": LIMIT}),
    "activity suspects": (activities.FIND_SUSPECT, {}),
    "sweep: runnable": (sweeper.IS_RUNNABLE, None),
    "sweep: due": (timers.IS_DUE, [NOON]),
    "sweep: unrouted": (event_router.IS_WAITING, None),
    "sweep: pending": (activities.IS_PENDING, None),
    "near timers": (timers.NEAR, [NOON, NOON]),
}
BIG = ("flow_instances", "timers", "inbound_events", "activities", "instance_wakes")


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


def explain(statement: str, parameters: Any) -> dict[str, Any]:
    found = execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters).fetchone()[0]
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


def troubles(statement: str, parameters: Any, *, most: int = 4 * LIMIT) -> list[str]:
    with transaction.atomic():
        plan = explain(statement, parameters)
        transaction.set_rollback(True)
    found = []
    for node in nodes_of(plan):
        rows = node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0) * node["Actual Loops"]
        where = f"{node['Node Type']} on {node.get('Relation Name', '')} {node.get('Index Name', '')}: {rows:.0f} rows"
        # The look for the first row of a flood may find it anywhere; what it does when there is none is asked below.
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG and rows > 1:
            found.append(where)
        if rows > most:
            found.append(where)
    return found


def reading(tenant: Tenant, prefix: str) -> tuple[str, Any]:
    names = [f"{prefix}{i}" for i in range(1, LIMIT + 1)]
    return event_router.READ_UNROUTED, {"tenants": [str(tenant.pk)] * LIMIT, "participants": names}


@pytest.mark.parametrize("analysed", [False, True], ids=["before_analyze", "after_analyze"])
def test_no_claim_sorts_or_scans_the_backlog(
    fill: Callable[..., None],
    tenant: Tenant,
    analysed: bool,  # noqa: FBT001
) -> None:
    fill()
    if analysed:
        execute(f"ANALYZE {', '.join(BIG)}")

    found = {name: troubles(*claims) for name, claims in CLAIMS.items()}
    found["reading what was taken"] = troubles(*reading(tenant, "u"))

    assert {name: trouble for name, trouble in found.items() if trouble} == {}


def test_events_are_found_by_index_too_when_the_planner_has_only_seen_an_inbox_without_work(
    fill: Callable[..., None], tenant: Tenant
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, {"tenant": tenant.pk, "prefix": "d", "routed": NOON, "count": 2 * BACKLOG})
        cursor.execute("VACUUM ANALYZE inbound_events")
        cursor.execute(EVENTS, {"tenant": tenant.pk, "prefix": "n", "routed": None, "count": BACKLOG})

    assert troubles(*reading(tenant, "n")) == []
    assert troubles(event_router.TAKE_PARTICIPANTS, {"limit": LIMIT}) == []


def test_a_flood_of_one_tenant_leaves_another_its_share_of_each_batch(
    fill: Callable[..., None], tenant: Tenant, other_tenant: Tenant
) -> None:
    fill(4 * LIMIT)
    with transaction.atomic():
        taken = Counter(row.tenant_id for row in claim.take_marked(LIMIT))
        woken = Counter(row.tenant_id for row in wakes.take(LIMIT))
        routed = Counter(row[0] for row in execute(event_router.TAKE_PARTICIPANTS, {"limit": LIMIT}).fetchall())
        transaction.set_rollback(True)
    leased = Counter(lease.tenant_id for lease in activities.take(LIMIT, "worker"))

    for shares in (taken, woken, routed, leased):
        assert shares == {str(tenant.pk): LIMIT // 2, str(other_tenant.pk): LIMIT // 2}


def test_an_idle_look_costs_next_to_nothing(fill: Callable[..., None]) -> None:
    fill(is_open=False)
    execute(f"ANALYZE {', '.join(BIG)}")

    found = {name: troubles(*claims, most=1) for name, claims in CLAIMS.items()}

    assert {name: trouble for name, trouble in found.items() if trouble} == {}
