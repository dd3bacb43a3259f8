"""Lists of instances walk an index from its end, and stop with the page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from flows import lifecycle, queries
from tenants.api import pagination

ROWS = 20_000

# Copies of one row, the oldest thousandth of them waiting, at one of two nodes; ids in the order of arrival.
FILL = """
    INSERT INTO flow_instances (id, tenant_id, flow_id, version_id, participant_id, correlation_key, live_key, status,
        current_nodes, context, step_count, entered_at, updated_at, completed_at, exit_reason, sequence, priority,
        runnable, deaths, log_tx)
    SELECT (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, tenant_id, flow_id, version_id, 'p' || n, '', '',
        CASE WHEN n <= %(open)s THEN 'waiting' ELSE 'completed' END,
        CASE WHEN n <= %(open)s THEN jsonb_build_array(jsonb_build_object('node_id', 'n' || mod(n, 2))) ELSE '[]' END,
        '{}', 0, entered_at, updated_at, CASE WHEN n > %(open)s THEN entered_at END, '', 0, 0, false, 0, 0
      FROM flow_instances, generate_series(1, %(rows)s) n
"""


@pytest.fixture
def many(flow, instance_of):
    lifecycle.activate(flow)
    instance_of(flow)
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"rows": ROWS, "open": ROWS // 1000})
        cursor.execute("ANALYZE flow_instances")
    return flow


def page(found, **settings):
    return pagination.cut(found.rows, ordering=("-id",), size=50, cursor=None, parts=found.parts, **settings)


def rows_read(found):
    """The most rows that any step of the statements behind a page has read, seen or thrown away."""
    with CaptureQueriesContext(connection) as captured:
        page(found)
    most = 0
    with connection.cursor() as cursor:
        for statement in captured.captured_queries:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + statement["sql"])
            most = max([most, *_read(cursor.fetchone()[0][0]["Plan"])])
    return most


def _read(plan):
    yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for below in plan.get("Plans", ()):
        yield from _read(below)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"flow_id": None},
        {"statuses": ["completed"]},
        {"statuses": ["waiting", "paused"]},
        {"flow_id": None, "statuses": ["waiting", "paused"]},
        {"participant_id": "p77"},
        {"participant_id": "p77", "statuses": ["completed"]},
        {"node_id": "n0"},
        {"node_id": "nowhere"},
        {"node_id": "n0", "statuses": ["waiting"]},
        {"node_id": "n0", "statuses": ["completed"]},
    ],
    ids=str,
)
def test_a_page_of_many_reads_little_more_than_the_page(many, filters):
    filters = {name: many.pk if name == "flow_id" else value for name, value in filters.items()}

    assert rows_read(queries.instances(many.tenant, **filters)) <= 200


def test_the_parts_of_a_list_are_one_list(many, instance_of):
    token = [{"node_id": "n0"}, {"node_id": "n1"}]
    newest = instance_of(many, "fork", status="running", current_nodes=token)

    found = queries.instances(many.tenant, node_id="n0")

    first = page(found)
    assert [row.pk for row in first.rows] == list(found.whole.values_list("pk", flat=True))
    assert first.rows[0] == newest
    assert len(first.rows) == ROWS // 1000 // 2 + 1
