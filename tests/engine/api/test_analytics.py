"""Statistics over REST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from engine import operations, publish_event, triggers
from engine.event_router import route
from flows import lifecycle
from flows.models import Flow
from tenants.models import Tenant
from tests.engine.api.conftest import codes
from tests.engine.conftest import FakeClock
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle
from tests.support.raw_counts import catch_up

OF_FLOW = "/api/v1/flows/{flow_id}"
SUMMARY, NODES, FUNNEL = (f"{OF_FLOW}/analytics/{name}" for name in ("summary", "nodes", "funnel"))
AB = f"{OF_FLOW}/nodes/{{node_id}}/ab_results"

ASKING: dict[str, Any] = graph(
    {
        "entry": (*ENTRY, {None: "split"}),
        "split": ("ab_split", {"variants": [{"key": "red", "weight": 1}, {"key": "blue", "weight": 0}],
                               "metric": "bought"}, {"red": "ask", "blue": "ask"}),
        "ask": ("wait_for_event", {"event_type": "replied", "timeout": "1d"},
                {"event_received": "won", "timed_out": "lost"}),
        "won": ("goal_reached", {"goal_name": "bought"}),
        "lost": ("exit", {"reason": "lost"}),
    }
)  # fmt: skip


@pytest.fixture
def flow(flow_of: Callable[..., Flow]) -> Flow:
    return flow_of(ASKING)


@pytest.fixture
def traffic(flow: Flow, now: FakeClock) -> Flow:
    """Ten enter; four reply after a minute, one is cancelled, five wait."""
    runs = [triggers.start(flow, f"p{i}") for i in range(10)]
    run_until_idle()
    now.advance(seconds=60)
    for i in range(4):
        publish_event(f"p{i}", "replied", tenant=flow.tenant)
    route(slice_s=10, task_id="")
    run_until_idle()
    operations.cancel(str(runs[4].pk))
    catch_up()
    return flow


def test_no_data_gives_zeros(api: APIClient, agree: Callable[..., Any], flow: Flow) -> None:
    summary = agree(api, "get", SUMMARY, flow_id=str(flow.pk)).json()
    nodes = agree(api, "get", NODES, flow_id=str(flow.pk)).json()
    funnel = agree(api, "get", FUNNEL, flow_id=str(flow.pk)).json()
    variants = agree(api, "get", AB, flow_id=str(flow.pk), node_id="split").json()

    none = {"entered": 0, "completed": 0, "exited": 0, "failed": 0, "compensated": 0}
    assert summary.items() >= {**none, "active": 0, "waiting": 0, "by_version": []}.items()
    assert [each["day"] for each in summary["by_day"]][::29] == ["2029-12-03", "2030-01-01"]
    assert all(each == {"day": each["day"], **none} for each in summary["by_day"])
    assert summary["conversion"] == {"entered": 0, "converted": 0, "rate": 0.0, "interval": [0.0, 0.0], "goals": []}
    zero = {"entered": 0, "completed": 0, "waiting": 0, "failed": 0, "branches": {}, "p50_s": 0.0, "p95_s": 0.0}
    assert nodes == [{"node_id": node["id"], **zero} for node in ASKING["nodes"]]
    assert funnel == [{"node_id": node["id"], "reached": 0, "percent": 0.0} for node in ASKING["nodes"]]
    empty = {"participants": 0, "conversions": 0, "rate": 0.0, "interval": [0.0, 0.0], "p_value": 1.0, "winner": False}
    assert variants == [{"variant": name, **empty} for name in ("red", "blue")]


def test_a_flow_without_a_version_has_zeros_too(api: APIClient, agree: Callable[..., Any], tenant: Tenant) -> None:
    flow = lifecycle.create(tenant, "empty")

    assert agree(api, "get", SUMMARY, flow_id=str(flow.pk)).json()["entered"] == 0
    assert agree(api, "get", NODES, flow_id=str(flow.pk)).json() == []
    assert agree(api, "get", FUNNEL, flow_id=str(flow.pk)).json() == []


def test_the_summary_tells_who_came_and_where_they_are(
    api: APIClient, agree: Callable[..., Any], traffic: Flow
) -> None:
    found = agree(api, "get", SUMMARY, flow_id=str(traffic.pk)).json()

    counted = {"entered": 10, "completed": 4, "exited": 1, "failed": 0, "compensated": 0}
    assert found.items() >= {**counted, "active": 5, "waiting": 5}.items()
    assert found["by_version"] == [{"version": 1, **counted, "active": 5, "waiting": 5}]
    assert found["by_day"][-1] == {"day": "2030-01-01", **counted}
    converted = {"converted": 4, "rate": 0.4, "interval": [0.16818, 0.687326]}
    assert found["conversion"] == {"entered": 10, **converted, "goals": [{"goal": "bought", **converted}]}


def test_nodes_tell_branches_and_how_long_it_took(api: APIClient, agree: Callable[..., Any], traffic: Flow) -> None:
    found = {each["node_id"]: each for each in agree(api, "get", NODES, flow_id=str(traffic.pk)).json()}

    ask = found["ask"]
    assert (ask["entered"], ask["completed"], ask["waiting"]) == (10, 4, 5)
    assert ask["branches"] == {"event_received": 4}
    assert ask["p50_s"] == ask["p95_s"] == pytest.approx(60, rel=0.025)
    assert found["split"]["branches"] == {"red": 10}
    assert found["split"]["p95_s"] == 0.0


def test_the_funnel_tells_how_far_they_came(api: APIClient, agree: Callable[..., Any], traffic: Flow) -> None:
    names = f"{FUNNEL}?node_ids=entry,ask,won,lost"

    found = api.get(names.format(flow_id=traffic.pk)).json()

    assert [(each["node_id"], each["reached"], each["percent"]) for each in found] == [
        ("entry", 10, 100.0),
        ("ask", 10, 100.0),
        ("won", 4, 40.0),
        ("lost", 0, 0.0),
    ]
    assert len(agree(api, "get", FUNNEL, flow_id=str(traffic.pk)).json()) == len(ASKING["nodes"])


def test_variants_are_compared_by_their_metric(api: APIClient, agree: Callable[..., Any], traffic: Flow) -> None:
    red, blue = agree(api, "get", AB, flow_id=str(traffic.pk), node_id="split").json()

    assert (red["participants"], red["conversions"], red["rate"]) == (10, 4, 0.4)
    assert (blue["participants"], blue["conversions"], blue["winner"]) == (0, 0, False)
    assert (red["p_value"], red["winner"]) == (1.0, False)


def test_days_and_versions_narrow_it(api: APIClient, traffic: Flow, now: FakeClock) -> None:
    def entered(query: str) -> int:
        return int(api.get(f"{SUMMARY.format(flow_id=traffic.pk)}?{query}").json()["entered"])

    assert entered("from=2030-01-01&to=2030-01-01") == 10
    assert entered("from=2030-01-01T10:00:00Z&to=2030-01-01T11:00:00%2B00:00") == 10
    assert entered("to=2029-12-31") == 0
    assert entered("from=2030-01-02&to=2030-01-05") == 0
    assert entered("to=0001-01-01") == 0
    assert entered("version=1") == 10
    assert entered("version=2") == 0
    now.advance(days=30)
    assert entered("") == 0
    assert entered(f"from={(now() - timedelta(days=30)).date()}") == 10


@pytest.mark.parametrize(
    ("query", "code", "attr"),
    [
        ("since=2030-01-01", "unknown_parameter", "since"),
        ("from=yesterday", "invalid", "from"),
        ("from=2030-01-02&to=2030-01-01", "invalid", "from"),
        ("from=1900-01-01", "invalid", "from"),
        ("to=2030-13-01T00:00:00Z", "invalid", "to"),
        ("version=one", "invalid", "version"),
        ("version=0", "min_value", "version"),
        ("version=99999999999", "max_value", "version"),
    ],
)
@pytest.mark.parametrize("address", [SUMMARY, NODES, FUNNEL, AB])
def test_bad_parameters_are_named(api: APIClient, flow: Flow, address: str, query: str, code: str, attr: str) -> None:
    answer = api.get(f"{address.format(flow_id=flow.pk, node_id='split')}?{query}")

    assert answer.status_code == 400
    assert [(each["code"], each["attr"]) for each in answer.json()["errors"]] == [(code, attr)]


def test_nodes_that_are_not_there(api: APIClient, agree: Callable[..., Any], flow: Flow) -> None:
    answer = api.get(f"{FUNNEL.format(flow_id=flow.pk)}?node_ids=entry,gone")
    assert (answer.status_code, codes(answer)) == (400, ["unknown_node"])
    for node in ("gone", "ask"):
        assert agree(api, "get", AB, flow_id=str(flow.pk), node_id=node).status_code == 404


def test_another_tenants_statistics_are_not_there(
    agree: Callable[..., Any], client_of: Callable[..., APIClient], other_tenant: Tenant, traffic: Flow
) -> None:
    stranger = client_of(other_tenant)

    for address in (SUMMARY, NODES, FUNNEL, AB):
        assert agree(stranger, "get", address, flow_id=str(traffic.pk), node_id="split").status_code == 404
