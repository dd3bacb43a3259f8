"""A run sees the segments as its own event, or a change a moment ago, has made them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import connections, event_router, inbox
from engine.inbox import publish_event
from flows.models import Flow, FlowInstance
from marketing.models import Customer, SegmentMember
from marketing.segments import catalog, evaluation, freshness
from marketing.segments.lookup import Memberships
from tenants.models import Tenant
from tests.marketing.segments.test_evaluation import BOUGHT, IS_PRO, change, settle
from tests.support.graphs import graph
from tests.support.passage import run_until_idle

HAS_BOUGHT = {
    "in": ("event_entry", {"event_type": "bought"}, {None: "asked"}),
    "asked": ("check_segment", {"segment_id": "buyers"}, {"true": "yes", "false": "no"}),
    "yes": ("exit", {"reason": "yes"}),
    "no": ("exit", {"reason": "no"}),
}


@pytest.fixture
def buyers(tenant: Tenant, customer: Callable[..., Customer]) -> None:
    customer("ada")
    catalog.create(tenant, {"slug": "buyers", "rule": BOUGHT})
    settle()


def test_the_event_that_starts_a_flow_counts_for_its_segments(
    tenant: Tenant, buyers: None, flow_of: Callable[..., Flow]
) -> None:
    flow_of(graph(HAS_BOUGHT))

    publish_event("ada", "bought", tenant=tenant)
    event_router.route()
    run_until_idle()

    assert FlowInstance.objects.get().exit_reason == "yes"
    assert not SegmentMember.objects.exists()


def test_a_rule_that_takes_too_long_holds_no_run_up_and_what_was_found_last_counts(
    tenant: Tenant, buyers: None, flow_of: Callable[..., Flow], monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_of(graph(HAS_BOUGHT))

    def slow(*_: Any) -> Any:
        return connections.execute("SELECT pg_sleep(9)")

    with monkeypatch.context() as patch:
        patch.setattr(freshness, "WITHIN_MS", 10)
        patch.setattr(evaluation, "matching_among", slow)
        publish_event("ada", "bought", tenant=tenant)
        event_router.route()
        run_until_idle()

    assert FlowInstance.objects.get().exit_reason == "no"
    assert connections.one("SHOW statement_timeout") != "10ms"


def test_the_event_that_ends_a_wait_counts_too(tenant: Tenant, buyers: None, passage: Callable[..., Any]) -> None:
    nodes = HAS_BOUGHT | {
        "in": ("event_entry", {"event_type": "came"}, {None: "wait"}),
        "wait": ("wait_for_event", {"event_type": "bought"}, {"event_received": "asked", "timed_out": "no"}),
    }
    ada = passage(graph(nodes)).start()

    inbox.publish_event("ada", "bought", tenant=tenant)
    event_router.route()
    run_until_idle()

    assert ada.instance.exit_reason == "yes"


def asked(tenant: Tenant, *names: str) -> set[str]:
    return set(Memberships().memberships_many(str(tenant.pk), ["ada", "bob"], names).get("ada", ()))


def test_a_change_counts_before_anybody_has_looked(tenant: Tenant, customer: Callable[..., Customer]) -> None:
    ada = customer("ada")
    pros = catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    others = catalog.create(tenant, {"slug": "others", "rule": {"not": IS_PRO}})
    settle()
    names = ("pros", str(pros.pk), "others", str(others.pk))
    assert asked(tenant, *names) == {"others", str(others.pk)}

    change(ada, plan="pro")

    assert asked(tenant, *names) == {"pros", str(pros.pk)}
    settle()
    assert asked(tenant, *names) == {"pros", str(pros.pk)}


def test_what_time_alone_changes_counts_at_its_moment(tenant: Tenant, buyers: None, now: Any) -> None:
    publish_event("ada", "bought", tenant=tenant)
    settle()
    assert asked(tenant, "buyers") == {"buyers"}

    now.advance(days=30, seconds=1)

    assert asked(tenant, "buyers") == set()


def test_a_segment_that_is_being_made_is_asked_by_its_rule(tenant: Tenant, customer: Callable[..., Customer]) -> None:
    customer("ada", properties={"plan": "pro"})
    catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})

    assert asked(tenant, "pros") == {"pros"}


def test_another_tenants_changes_and_segments_are_not_looked_at(
    tenant: Tenant, other_tenant: Tenant, customer: Callable[..., Customer]
) -> None:
    customer("ada")
    catalog.create(other_tenant, {"slug": "pros", "rule": {}})
    theirs = customer("ada", tenant=other_tenant)
    change(theirs, plan="pro")

    assert asked(tenant, "pros") == set()


def test_one_query_more_where_nobody_has_changed(tenant: Tenant, buyers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = list[Any]()
    execute = connections.Cursor.execute

    def note(cursor: Any, statement: Any, *rest: Any, **more: Any) -> Any:
        statements.append(statement)
        return execute(cursor, statement, *rest, **more)

    monkeypatch.setattr(connections.Cursor, "execute", note)

    assert asked(tenant, "buyers") == set()
    assert len(statements) == 2
