"""A rehearsal goes where a run would go, and leaves nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import InternalError, connection, transaction

from engine import ports
from engine.connections import execute
from engine.models import Activity, EventSubscription, StoredEvent, Timer
from engine.nodes import registry
from engine.nodes.base import Node
from engine.nodes.outcomes import Completed
from engine.rehearsal import rehearsing
from engine.rehearsal.plan import Choice, Happening, Plan
from flows.errors import InvalidGraph
from flows.models import FlowInstance
from tenants.errors import Invalid
from tests.engine.conftest import NOON
from tests.support.graphs import ENTRY, graph

CALL = {"url": "https://shop.example.com/yes", "body": {"who": {"ref": "run.participant_id"}}}
ASK = graph(
    {
        "entry": (*ENTRY, {None: "answer"}),
        "answer": (
            "wait_for_event",
            {"event_type": "answered", "filter": {"path": "event.yes", "op": "eq", "value": True}, "timeout": "3d"},
            {"event_received": "call", "timed_out": "silent"},
        ),
        "call": ("call_webhook", CALL, {None: "pause"}),
        "pause": ("wait", {"duration": "1d"}, {None: "glad"}),
        "glad": ("goal_reached", {"goal_name": "glad"}),
        "silent": ("exit", {"reason": "silent"}),
    },
    exit_criteria={"on_event": "left"},
)  # fmt: skip
YES = {"event_type": "answered", "data": {"yes": True}}


@pytest.fixture
def rehearse(flow_of):
    """Rehearse a graph, from noon on."""

    def play(raw, **plan):
        version = flow_of(raw).active_version
        return rehearsing.rehearse(version, Plan(**{"begins": NOON, "profile": {"properties": {}, "tags": []}} | plan))

    return play


def path(told):
    return [stop["node_id"] for stop in told["path"]]


def hours(told, node_id):
    (stop,) = [stop for stop in told["path"] if stop["node_id"] == node_id]
    return stop["arrived_at"], stop["left_at"]


def test_silence_takes_three_days_and_no_time(rehearse):
    told = rehearse(ASK)

    assert path(told) == ["entry", "answer", "silent"]
    assert (told["status"], told["exit_reason"]) == ("completed", "silent")
    assert told["ended_at"] == "2030-01-04T12:00:00Z"
    assert told["path"][1]["wait"] == {
        "until": "2030-01-04T12:00:00Z", "event_types": ["answered"], "resolved_by": "timer", "event": None,
    }  # fmt: skip


def test_an_event_comes_when_it_was_planned(rehearse):
    told = rehearse(ASK, events=(Happening(**YES, node_id="answer", after=timedelta(hours=5)),))

    assert path(told) == ["entry", "answer", "call", "pause", "glad"]
    assert hours(told, "answer") == ("2030-01-01T12:00:00Z", "2030-01-01T17:00:00Z")
    assert told["ended_at"] == "2030-01-02T17:00:00Z"
    assert told["path"][2]["called"]["body"] == {"who": "made-up"}
    assert told["path"][2]["result"] == {"status": "ok", "http_status": 200, "response": None}
    assert told["conversions"] == [{"name": "glad", "at": "2030-01-02T17:00:00Z", "by": "glad", "facts": {}}]
    assert [each["kind"] for each in told["events"][0]["effects"]] == ["wait_resolved"]


def test_of_an_event_and_a_timer_at_one_moment_the_event_wins(rehearse):
    told = rehearse(ASK, events=(Happening(**YES, after=timedelta(days=3)),))

    assert "call" in path(told)


def test_an_event_that_does_not_match_or_comes_late_does_nothing(rehearse):
    told = rehearse(ASK, events=(Happening("answered", {"yes": False}), Happening(**YES, after=timedelta(days=4))))

    assert path(told)[-1] == "silent"
    assert [each["effects"] for each in told["events"]] == [[], []]


def test_an_exit_criterion_ends_it(rehearse):
    told = rehearse(ASK, events=(Happening("left", after=timedelta(hours=1)),))

    assert (told["status"], told["exit_reason"]) == ("exited", "exit_criteria")
    assert told["path"][-1]["status"] == "cancelled"


def test_a_side_effect_turns_out_as_chosen(rehearse):
    answer = {"call": Choice(result={"response": {"all": "well"}}, after=timedelta(minutes=3))}
    told = rehearse(ASK, events=(Happening(**YES),), choices=answer)

    assert told["path"][2]["result"]["response"] == {"all": "well"}
    assert hours(told, "call") == ("2030-01-01T12:00:00Z", "2030-01-01T12:03:00Z")


def test_a_failure_without_an_on_failure_waits_for_an_operator(rehearse):
    told = rehearse(ASK, events=(Happening(**YES),), choices={"call": Choice(fails="http_500")})

    assert told["status"] == "waiting"
    assert told["path"][-1]["status"] == "parked"
    assert [each["code"] for each in told["warnings"] if each["node_id"] == "call"] == ["parked"]


def test_a_branch_is_taken_as_chosen(rehearse):
    split = graph(
        {
            "entry": (*ENTRY, {None: "split"}),
            "split": ("ab_split", {"save_as": "test"}, {"a": "first", "b": "second"}),
            "first": ("exit", {"reason": "first"}),
            "second": ("exit", {"reason": "second"}),
        }
    )
    for variant, node_id in (("a", "first"), ("b", "second")):
        told = rehearse(split, choices={"split": Choice(branch=variant)})

        assert path(told)[-1] == node_id
        assert told["path"][1]["result"] == {"selected_variant": variant}


def test_a_look_back_sees_the_events_of_the_rehearsal(rehearse):
    late = graph(
        {
            "entry": (*ENTRY, {None: "pause"}),
            "pause": ("wait", {"duration": "1d"}, {None: "answer"}),
            "answer": (
                "wait_for_event",
                {"event_type": "answered", "timeout": "3d", "lookback": "since_entry"},
                {"event_received": "glad", "timed_out": "silent"},
            ),
            "glad": ("exit", {"reason": "glad"}),
            "silent": ("exit", {"reason": "silent"}),
        }
    )

    told = rehearse(late, events=(Happening("answered", after=timedelta(hours=1)),))

    assert told["exit_reason"] == "glad"
    assert told["ended_at"] == "2030-01-02T12:00:00Z"


CART = graph(
    {
        "entry": (
            "event_entry",
            {"event_type": "cart", "filter": {"path": "event.id", "op": "exists"}},
            {None: "grace"},
        ),
        "grace": ("wait", {"duration": "1h"}, {None: "done"}),
        "done": ("exit", {"reason": "reminded"}),
    },
    reentry="per_key",
    correlation_key="entry.id",
    on_duplicate_entry={"if_at_node": "grace", "do": "restart_wait"},
)


@pytest.mark.parametrize(
    ("data", "did", "ends"),
    [
        ({"id": 1, "items": 2}, {"kind": "wait_restarted", "code": None, "node_id": "grace"}, "13:30"),
        ({"id": 2}, {"kind": "starts_another_run", "code": None, "node_id": "entry"}, "13:00"),
        ({}, {"kind": "refused", "code": "entry_filter", "node_id": "entry"}, "13:00"),
    ],
)
def test_a_second_entry_does_what_the_settings_say(rehearse, data, did, ends):
    again = Happening("cart", data, after=timedelta(minutes=30))
    told = rehearse(CART, entry={"id": 1}, events=(again,))

    assert told["events"][0]["effects"] == [did]
    assert told["ended_at"] == f"2030-01-01T{ends}:00Z"


def test_a_goal_is_reached_also_after_the_end(rehearse):
    settings = {"goal": {"name": "bought", "event_type": "order", "window": "30d"}}
    told = rehearse(ASK | {"settings": settings}, events=(Happening("order", after=timedelta(days=9)),))

    assert told["conversions"] == [{"name": "bought", "at": "2030-01-10T12:00:00Z", "by": "order", "facts": {}}]


def test_an_entry_that_the_filter_refuses_goes_nowhere(rehearse):
    filtered = ASK | {"nodes": [dict(node) for node in ASK["nodes"]]}
    filtered["nodes"][0] = filtered["nodes"][0] | {
        "config": {"event_type": "signed_up", "filter": {"path": "event.plan", "op": "eq", "value": "trial"}}
    }

    assert rehearse(filtered)["exit_reason"] == "entry_filter"
    assert rehearse(filtered, entry={"plan": "trial"})["exit_reason"] == "silent"


def test_the_filter_of_the_entry_sees_the_profile(rehearse):
    filtered = ASK | {"nodes": [dict(node) for node in ASK["nodes"]]}
    filtered["nodes"][0]["config"] = {
        "event_type": "signed_up", "filter": {"path": "participant.plan", "op": "eq", "value": "pro"}
    }  # fmt: skip

    for plan, reason in (("pro", "silent"), ("free", "entry_filter")):
        assert rehearse(filtered, profile={"properties": {"plan": plan}, "tags": []})["exit_reason"] == reason


def test_parallel_branches_meet(rehearse):
    both = graph(
        {
            "entry": (*ENTRY, {None: ["slow", "quick"]}),
            "slow": ("wait", {"duration": "2d"}, {None: "meet"}),
            "quick": ("wait", {"duration": "1h"}, {None: "meet"}),
            "meet": ("condition", {}, {"true": "done", "false": "done"}, {"join": "all"}),
            "done": ("exit", {"reason": "met"}),
        }
    )

    told = rehearse(both)

    assert hours(told, "meet") == ("2030-01-01T13:00:00Z", "2030-01-03T12:00:00Z")


def test_a_run_sees_what_it_makes_of_the_profile(rehearse):
    pro = {"path": "participant.plan", "op": "eq", "value": "pro"}
    new = {"plan": "pro", "address.city": {"ref": "entry.city"}}
    changing = graph(
        {
            "entry": (*ENTRY, {None: "set"}),
            "set": ("update_profile", {"fields": new}, {None: "tag"}),
            "tag": ("add_tag", {"tag": "known"}, {None: "is_pro"}),
            "is_pro": ("condition", pro, {"true": "a", "false": "b"}),
            "a": ("exit", {"reason": "pro"}),
            "b": ("exit", {"reason": "other"}),
        }
    )  # fmt: skip

    told = rehearse(changing, entry={"city": "Ulm"})

    assert told["exit_reason"] == "pro"
    assert [each["fields"] for each in told["profile_changes"]] == [{"plan": "pro", "address.city": "Ulm"}, {}]
    assert told["participant"]["properties"] == {"plan": "pro", "address": {"city": "Ulm"}}
    assert told["participant"]["tags"] == ["known"]


def test_nothing_is_left(rehearse):
    rehearse(ASK, events=(Happening(**YES),))

    tables = (FlowInstance, StoredEvent, Timer, EventSubscription, Activity)
    assert [table.objects.count() for table in tables] == [0] * len(tables)


def test_postgresql_itself_refuses_to_write_within_and_lets_the_caller_go_on(tenant):
    with transaction.atomic():
        with pytest.raises(InternalError, match="read-only"), rehearsing.read_only():
            execute("UPDATE tenants SET name = 'changed'")
        with rehearsing.read_only():
            pass
        execute("UPDATE tenants SET name = 'renamed' WHERE id = %s", [tenant.pk])

    tenant.refresh_from_db()
    assert tenant.name == "renamed"


def test_a_port_that_writes_is_stopped(rehearse):
    class Careless(ports.Nobody):
        def fetch_many(self, tenant_id, participant_ids):
            execute("DELETE FROM flow_triggers")
            return {}

    with ports.binding(preferences=Careless()), pytest.raises(InternalError):
        rehearse(ASK)
    assert not connection.in_atomic_block


def test_a_node_that_raises_fails_the_rehearsal_alone(rehearse):
    @registry.node
    class Trouble(Node):
        type = "trouble"
        runs_as = registry.get("condition").runs_as

        def execute(self, config, step):
            raise ValueError("no")

    told = rehearse(
        graph({"entry": (*ENTRY, {None: "trouble"}), "trouble": ("trouble", {}, {None: "end"}), "end": ("exit", {})})
    )

    assert told["status"] == "failed"
    assert told["error"]["detail"] == "ValueError: no"


def test_plugins_say_how_their_side_effects_are_rehearsed(rehearse):
    @registry.node
    class Measure(Node):
        type = "measure"
        result_schema = {"type": "object"}

        def rehearse(self, config, step):
            return Completed({"length": 7})

        def execute(self, config, step):
            raise AssertionError("a rehearsal does nothing")

    told = rehearse(
        graph({"entry": (*ENTRY, {None: "rule"}), "rule": ("measure", {}, {None: "end"}), "end": ("exit", {})})
    )

    assert told["path"][1]["result"] == {"length": 7}


def test_a_rehearsal_that_takes_too_long_is_ended(rehearse, monkeypatch):
    monkeypatch.setattr("engine.rehearsal.rehearser.MOST_SECONDS", -1)

    told = rehearse(ASK)

    assert [each["code"] for each in told["warnings"]][:1] == ["halted"]
    assert told["status"] == "running"


def test_a_draft_that_could_not_run_is_refused_with_its_problems(tenant, flow_of):
    flow = flow_of(ASK)
    version = flow.active_version
    version.graph = graph({"entry": (*ENTRY, {None: "end"}), "end": ("no_such_type", {})})

    with pytest.raises(InvalidGraph):
        rehearsing.rehearse(version, Plan(begins=NOON))


@pytest.mark.parametrize(
    ("plan", "attr"),
    [
        ({"choices": {"nowhere": Choice(branch="x")}}, "outcomes.nowhere"),
        ({"choices": {"call": Choice(branch="x")}}, "outcomes.call.branch"),
        ({"choices": {"call": Choice(delivery="opened")}}, "outcomes.call.delivery"),
        ({"choices": {"answer": Choice(branch="timed_out")}}, "outcomes.answer"),
        ({"events": (Happening("answered", node_id="nowhere"),)}, "events.0.node_id"),
        ({"events": (Happening("answered", at=NOON - timedelta(hours=1)),)}, "events.0.at"),
    ],
)
def test_a_plan_that_does_not_fit_the_graph_is_refused_by_its_place(rehearse, plan, attr):
    with pytest.raises(Invalid) as refusal:
        rehearse(ASK, **plan)

    assert [problem.attr for problem in refusal.value.problems] == [attr]


def test_what_was_planned_and_did_not_come_is_told(rehearse):
    told = rehearse(ASK, events=(Happening("ping", node_id="pause"),), choices={"call": Choice(after=timedelta(1))})

    assert {each["code"] for each in told["warnings"]} >= {"event_unused", "choice_unused"}
