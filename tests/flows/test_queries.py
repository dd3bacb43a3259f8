"""Lists of instances walk an index from its end, and stop with the page."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flows import lifecycle, queries
from tenants.api import pagination
from tests.support.graphs import chain

ROWS = 20_000

# Copies of one row that enter a second after the other, and the first thousandth of them wait at one of two nodes.
FILL = """
    INSERT INTO flow_instances (id, tenant_id, flow_id, version_id, participant_id, correlation_key, live_key, status,
        current_nodes, context, step_count, entered_at, updated_at, completed_at, exit_reason, sequence, priority,
        runnable, deaths, log_tx)
    SELECT gen_random_uuid(), tenant_id, flow_id, version_id, 'p' || n, '', '',
        CASE WHEN n <= %(open)s THEN 'waiting' ELSE 'completed' END,
        CASE WHEN n <= %(open)s THEN jsonb_build_array(jsonb_build_object('node_id', 'n' || mod(n, 2))) ELSE '[]' END,
        '{}', 0, '2030-01-01 00:00Z'::timestamptz + (n + %(later)s) * interval '1 s', updated_at,
        CASE WHEN n > %(open)s THEN entered_at END, '', 0, 0, false, 0, 0
      FROM flow_instances, generate_series(1, %(rows)s) n WHERE participant_id = %(like)s
"""
BEFORE = datetime(2030, 1, 1, 0, 0, 10, tzinfo=UTC)
LONG_AGO, FAR_OFF = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)


@pytest.fixture
def many(flow, other_tenant, instance_of):
    """A tenant with many instances; another one whose instances are as many, and younger."""
    lifecycle.activate(flow)
    others = lifecycle.activate(lifecycle.create(other_tenant, "Others", graph=chain(1)))
    with connection.cursor() as cursor:
        for later, each in enumerate((flow, others)):
            instance_of(each, each.name)
            given = {"rows": ROWS, "open": ROWS // 1000, "later": later * ROWS, "like": each.name}
            cursor.execute(FILL, given)
        cursor.execute("ANALYZE flow_instances")
    return flow


def page(found, cursor=None):
    return pagination.cut(
        found.rows, tenant=found.tenant_id, ordering=queries.ORDER, size=50, cursor=cursor, parts=found.parts
    )


def rows_read(found, cursor=None):
    """The most rows that any step of the statements behind a page has read, seen or thrown away."""
    with CaptureQueriesContext(connection) as captured:
        page(found, cursor)
    most = 0
    with connection.cursor() as asking:
        for statement in captured.captured_queries:
            asking.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement["sql"])
            most = max([most, *_read(asking.fetchone()[0][0]["Plan"])])
    return most


def _read(plan):
    yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for below in plan.get("Plans", ()):
        yield from _read(below)


FILTERS = (
    {},
    {"flow_id": None},
    {"statuses": ["completed"]},
    {"statuses": ["waiting", "paused"]},
    {"flow_id": None, "statuses": ["waiting", "paused"]},
    {"participant_id": "p77"},
    {"participant_id": "p77", "statuses": ["completed"]},
    {"participant_id": "p77", "node_id": "n0"},
    {"version": 2},
    {"entered_before": LONG_AGO},
    {"entered_before": BEFORE},
    {"entered_after": FAR_OFF},
    {"entered_after": LONG_AGO},
    {"entered_after": LONG_AGO, "entered_before": BEFORE},
    {"entered_before": BEFORE, "statuses": ["completed"]},
    {"entered_before": BEFORE, "flow_id": None},
    {"entered_after": FAR_OFF, "flow_id": None, "statuses": ["waiting"]},
    {"node_id": "n0"},
    {"node_id": "nowhere"},
    {"node_id": "n0", "statuses": ["waiting"]},
    {"node_id": "n0", "statuses": ["completed"]},
    {"node_id": "n0", "flow_id": None},
    {"node_id": "n0", "entered_before": BEFORE},
    {"node_id": "n0", "entered_after": FAR_OFF},
)


def test_a_page_of_many_reads_little_more_than_the_page(many):
    asked = [{name: many.pk if name == "flow_id" else value for name, value in each.items()} for each in FILTERS]
    read = {str(filters): rows_read(queries.instances(many.tenant, **filters)) for filters in asked}

    assert {filters: rows for filters, rows in read.items() if rows > 200} == {}


def test_a_late_page_reads_little_more_than_the_page(many):
    found = queries.instances(many.tenant, entered_before=FAR_OFF)
    later = page(found)
    for _ in range(20):
        later = page(found, later.following.encode())

    assert rows_read(found, later.following.encode()) <= 200
    assert rows_read(found, later.preceding.encode()) <= 200


def test_the_parts_of_a_list_are_one_list(many, instance_of):
    token = [{"node_id": "n0"}, {"node_id": "n1"}]
    instance_of(many, "fork", status="waiting", current_nodes=token)
    instance_of(many, "now", status="running", current_nodes=token[1:])

    for node_id in ("n0", "n1"):
        found = queries.instances(many.tenant, node_id=node_id)
        assert [row.pk for row in page(found).rows] == list(found.whole.values_list("pk", flat=True))
        assert found.whole.filter(participant_id="fork").exists()
    assert {row.participant_id for row in page(found).rows} >= {"fork", "now"}
    assert page(queries.instances(many.tenant, node_id="n0", statuses=["completed"])).rows == []


def test_instances_of_one_moment_are_each_on_one_page(flow, instance_of):
    lifecycle.activate(flow)
    made = [instance_of(flow, f"p{n}") for n in range(7)]
    found, seen, cursor = queries.instances(flow.tenant), [], None

    while True:
        cut = pagination.cut(
            found.rows, tenant=flow.tenant_id, ordering=queries.ORDER, size=3, cursor=cursor, parts=found.parts
        )
        seen += cut.rows
        if cut.following is None:
            break
        cursor = cut.following.encode()

    assert seen == made[::-1]
