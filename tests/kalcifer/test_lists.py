"""Every list reads little more than its page, also of what is rare and behind the younger rows of another tenant."""

from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from flows import lifecycle
from tenants import keys
from tenants.api import parts
from tenants.models import Tenant
from tests.support.graphs import chain

ROWS = 3_000
WINDOW = 200
FEW = 150

# One row of each table for every number; those above ROWS are another tenant's, and all of them are younger. The rare
# ones are the oldest.
SOURCE = """
    WITH source AS (
        SELECT n, (lpad(to_hex(n), 12, '0') || '70008000000000000000')::uuid AS id, n <= 100 AS rare, now() AS at,
               CASE WHEN n <= %(rows)s THEN %(tenant)s ELSE %(other)s END::uuid AS tenant_id,
               CASE WHEN n <= %(rows)s THEN %(flow)s ELSE %(others_flow)s END::uuid AS flow_id
          FROM generate_series(1, 2 * %(rows)s) n)
"""
TABLES = {
    "customers": """
        (id, tenant_id, external_id, email, phone, name, timezone, locale, properties, tags, preferences, state,
         merged_into, created_at, updated_at)
        SELECT id, tenant_id, CASE WHEN rare THEN 'old-' ELSE 'new-' END || n, 'c' || n || '@example.com', '',
               'Name ' || n, '', '', '{}', CASE WHEN rare THEN '{old}' ELSE '{new}' END::text[], '{}', 'active', '', at,
               at""",
    "flows": """
        (id, tenant_id, name, description, status, created_at, updated_at)
        SELECT id, tenant_id, CASE WHEN rare THEN 'Winter ' ELSE 'Summer ' END || n, '',
               CASE WHEN rare THEN 'archived' ELSE 'draft' END, at, at""",
    "flow_versions": """
        (id, tenant_id, flow_id, number, status, graph, changelog, strategy, node_mapping, created_at, published_by)
        SELECT id, tenant_id, id, 1, 'draft', '{}', '', 'new_entries_only', '{}', at, ''""",
    "journeys": """
        (id, tenant_id, flow_id, name, description, status, tags, created_at, updated_at)
        SELECT id, tenant_id, id, 'Journey ' || n, '', CASE WHEN rare THEN 'paused' ELSE 'draft' END,
               CASE WHEN rare THEN '{old}' ELSE '{new}' END::text[], at, at""",
    "deliveries": """
        (id, tenant_id, flow_id, instance_id, node_id, key, participant_id, channel, provider, recipient, status,
         reason, message_class, topic, template_id, payload, provider_message_id, collapse_key, history, created_at,
         attempts, awaited, claim)
        SELECT id, tenant_id, flow_id, id, 'mail', 'd' || n, 'p' || n, CASE WHEN rare THEN 'sms' ELSE 'email' END,
               'log', '', CASE WHEN rare THEN 'failed' ELSE 'delivered' END, '', 'marketing', '', '', '{}', '', '',
               '[]', at, 1, false, ''""",
    "activities": """
        (id, tenant_id, flow_id, instance_id, node_id, kind, target, input, idempotency_key, policy, status, attempts,
         due_at, worker, held, deaths, created_at)
        SELECT id, tenant_id, flow_id, id, 'a', 'node', 't', '{}', 'k' || n, '{}',
               CASE WHEN rare THEN 'parked' ELSE 'completed' END, 1, at, '', false, 0, at""",
    "suppressions": """
        (id, tenant_id, channel, address, reason, detail, created_at)
        SELECT id, tenant_id, CASE WHEN rare THEN 'sms' ELSE 'email' END, 's' || n, 'bounced', '{}', at""",
    "conversions": """
        (id, tenant_id, flow_id, instance_id, participant_id, name, currency, variant, metadata, at, attributed_by,
         version)
        SELECT id, tenant_id, flow_id, id, 'p' || n, 'bought', '', '', '{}', at, '', 1""",
    "saga_runs": """
        (id, tenant_id, name, definition, runs_in, status, input, plan, steps, created_at, completed_at, sequence,
         runnable, deaths, log_tx)
        SELECT id, tenant_id, 's' || n, CASE WHEN rare THEN 'refund' ELSE 'order' END, 'workers',
               CASE WHEN rare THEN 'COMPENSATED' ELSE 'COMPLETED' END, '{}', '[]', '[]', at, at, 1, false, 0, 0""",
    "segments": """
        (id, tenant_id, slug, name, description, type, reads, member_count, created_at, updated_at)
        SELECT id, tenant_id, 's' || n, 's', '', 'static', '{}', 0, at, at""",
    "segment_members": """
        (id, tenant_id, segment_id, customer_id, since)
        SELECT id, tenant_id, CASE WHEN n <= %(rows)s THEN %(segment)s::uuid ELSE id END, id, at""",
}
SEGMENT = UUID(int=(1 << 80) | (7 << 76) | (8 << 60))

WALKED = (
    "customers",
    "flows",
    "flows?status=archived",
    "flows?status=archived,draft",
    "flows?status=active",
    "journeys",
    "journeys?status=paused",
    "journeys?status=paused,active",
    "deliveries",
    "deliveries?status=failed",
    "deliveries?status=failed,sent",
    "deliveries?channel=sms",
    "deliveries?channel=push",
    "deliveries?flow_id={flow}",
    "deliveries?flow_id={flow}&status=failed",
    "deliveries?flow_id={segment}",
    "deliveries?channel=email&status=failed",
    "deliveries?participant_id=p77",
    "deliveries?participant_id=p77&status=failed",
    "activities",
    "activities?status=parked",
    "activities?status=pending",
    "activities?status=completed",
    "activities?instance_id={segment}",
    "suppressions",
    "suppressions?channel=sms",
    "suppressions?channel=push",
    "suppressions?address=s77",
    "conversions",
    "conversions?flow_id={flow}",
    "conversions?flow_id={segment}",
    "conversions?participant_id=p77",
    "sagas",
    "sagas?state=COMPENSATED",
    "sagas?state=COMPENSATED,FAILED",
    "sagas?definition=refund",
    "sagas?definition=refund&state=COMPLETED",
    "sagas?definition=order&state=COMPENSATED",
    "segments/{segment}/members",
)
# What is looked for among the nearest first, and gathered where it is rare.
SIFTED = (
    "customers?search=old",
    "customers?search=new",
    "customers?search=NAME%2077",
    "customers?search=nobody",
    "customers?tag=old",
    "customers?tag=new",
    "customers?tag=none",
    "customers?tag=old&search=new",
    "customers?tag=new&search=n",
    "flows?search=winter",
    "flows?search=summer",
    "flows?search=nobody",
    "flows?search=winter&status=archived",
    "journeys?tag=old",
    "journeys?tag=none",
    "journeys?tag=new&status=paused",
)


@pytest.fixture
def api(db, flow_of_each, monkeypatch):
    """The API as a tenant with many rows sees it."""
    monkeypatch.setattr(parts, "WINDOW", WINDOW)
    flow, others = flow_of_each
    given = {"tenant": flow.tenant_id, "other": others.tenant_id, "flow": flow.pk, "others_flow": others.pk}
    with connection.cursor() as cursor:
        for table, rows in TABLES.items():
            statement = f"{SOURCE} INSERT INTO {table} {rows} FROM source"
            cursor.execute(statement, {"rows": ROWS, "segment": SEGMENT, **given})
        cursor.execute(f"ANALYZE {', '.join(TABLES)}")
    _, raw = keys.issue(flow.tenant, name="lists")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    return client


@pytest.fixture
def flow_of_each(db):
    """A flow of the tenant, and one of the other."""
    made = [lifecycle.create(Tenant.objects.create(name=name), "F", graph=chain(1)) for name in ("many", "younger")]
    return [lifecycle.activate(each) for each in made]


def rows_read(api, url):
    """The most rows that a step of the statements behind a page has read, seen or thrown away; and what was listed."""
    with CaptureQueriesContext(connection) as captured:
        found = api.get(url)
    assert found.status_code == 200, url
    most = 0
    with connection.cursor() as cursor:
        # A table of so few rows is rather read as a whole than joined row by row.
        cursor.execute("SET LOCAL enable_hashjoin = off")
        cursor.execute("SET LOCAL enable_mergejoin = off")
        for each in captured.captured_queries:
            if each["sql"].startswith(("SELECT", "(SELECT")):
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + each["sql"])
                most = max([most, *_read(cursor.fetchone()[0][0]["Plan"])])
    return most, found.json()


def _read(plan):
    yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for below in plan.get("Plans", ()):
        yield from _read(below)


def test_every_list_reads_little_more_than_its_page(api, flow_of_each):
    names = {"flow": flow_of_each[0].pk, "segment": SEGMENT}
    too_many = {}

    for known, most in ((WALKED, FEW), (SIFTED, WINDOW + FEW)):
        for url in known:
            address = "/api/v1/" + url.format(**names)
            read, found = rows_read(api, address)
            later, _ = rows_read(api, found["next"]) if found["next"] else (0, None)
            if max(read, later) > most:
                too_many[url] = (read, later)

    assert too_many == {}


RARE = {
    "customers?search=old": 100,
    "customers?tag=old": 100,
    "customers?tag=old&search=new": 0,
    "flows?search=winter": 100,
    "flows?search=winter&status=draft": 0,
    "journeys?tag=old&status=paused": 100,
    "deliveries?channel=sms&status=failed,sent": 100,
    "sagas?definition=refund": 100,
    "activities?status=parked,pending": 100,
}


def test_what_is_rare_is_listed_whole_and_in_order(api):
    for url, total in RARE.items():
        seen, address = [], f"/api/v1/{url}&page_size=30"
        while address:
            page = api.get(address).json()
            seen += [
                row.get("external_id") or row.get("name") or row.get("saga_id") or row["id"] for row in page["results"]
            ]
            address = page["next"]

        assert len(set(seen)) == len(seen) == total, url
        places = [each if "-7000-" in each else int("".join(filter(str.isdigit, each))) for each in seen]
        assert places == sorted(places, reverse=True), url
