"""Lists of instances walk an index from its end, and stop with the page."""

import pytest
from django.db import connection

from flows import lifecycle, queries
from flows.models import FlowInstance

ROWS = 20_000

# Copies of one row, a thousandth of them waiting; ids in the order of arrival.
FILL = """
    INSERT INTO flow_instances (id, tenant_id, flow_id, version_id, participant_id, correlation_key, live_key, status,
        current_nodes, context, step_count, entered_at, updated_at, completed_at, exit_reason, sequence, priority,
        runnable, deaths, log_tx)
    SELECT (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid, tenant_id, flow_id, version_id, 'p' || n, '', '',
        CASE WHEN mod(n, 1000) = 0 THEN 'waiting' ELSE 'completed' END, '[]', '{}', 0, entered_at, updated_at,
        CASE WHEN mod(n, 1000) = 0 THEN NULL ELSE entered_at END, '', 0, 0, false, 0, 0
      FROM flow_instances, generate_series(1, %s) n
"""


@pytest.fixture
def many(flow, instance_of):
    lifecycle.activate(flow)
    instance_of(flow)
    with connection.cursor() as cursor:
        cursor.execute(FILL, [ROWS])
        cursor.execute("ANALYZE flow_instances")
    return flow


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"flow_id": None},
        {"statuses": ["completed"]},
        {"participant_id": "p77"},
        {"participant_id": "p77", "statuses": ["completed"]},
    ],
    ids=str,
)
def test_a_page_of_many_is_read_from_the_end_of_an_index(many, filters):
    filters = {name: many.pk if name == "flow_id" else value for name, value in filters.items()}

    plan = queries.instances(many.tenant, **filters)[:51].explain()

    assert "Index Scan Backward" in plan
    assert "Sort" not in plan
    assert "Seq Scan on flow_instances" not in plan


def test_where_somebody_stands_is_looked_for_among_the_living(many):
    assert "Seq Scan on flow_instances" not in queries.instances(many.tenant, node_id="pause")[:51].explain()
    assert FlowInstance.objects.count() == ROWS + 1
