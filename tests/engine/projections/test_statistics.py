"""What is counted is what a count over the raw log gives, at any time, and after a rebuild."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine import ProjectionManager, operations, publish_event, timers, triggers
from engine.analytics.flow_statistics import FlowStatistics
from engine.analytics.node_statistics import NodeStatistics
from engine.connections import execute
from engine.event_router import route
from engine.models import CohortStatistic, FlowStatistic, NodeStatistic
from engine.projections import registry, rounds
from flows.models import Flow, FlowInstance
from tests.engine.conftest import FakeClock
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle
from tests.support.processes import wait_for
from tests.support.races import Meanwhile
from tests.support.raw_counts import assert_equal_to_the_log, catch_up

# A split, a wait that an event resolves, a goal that nodes and events reach, two ends, parallel branches and a join.
TESTED: dict[str, Any] = graph(
    {
        "entry": (*ENTRY, {None: "split"}),
        "split": ("ab_split", {"variants": [{"key": "short", "weight": 1}, {"key": "long", "weight": 1}]},
                  {"short": ["ask", "rest"], "long": "rest"}),
        "rest": ("wait", {"duration": "5h"}, {None: "meet"}),
        "ask": ("wait_for_event", {"event_type": "replied", "timeout": "1d"},
                {"event_received": "won", "timed_out": "meet"}),
        "won": ("goal_reached", {"goal_name": "reply", "exit": False}),
        "meet": ("condition", {"path": "entry.good", "op": "eq", "value": True}, {"true": "linger", "false": "linger"}),
        "linger": ("wait", {"duration": "2d"}, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    },
    goal={"name": "bought", "event_type": "bought"},
)  # fmt: skip


# Slow enough that a busy machine is not buried in work.
PACE_S = 0.3
PROGRESS = "SELECT coalesce(sum(count), 0) FROM projection_checkpoints"
UNDER_WAY = """
    SELECT 1 FROM flow_instances WHERE status = 'running'
    UNION ALL SELECT 1 FROM inbound_events WHERE routed_at IS NULL LIMIT 1
"""


@pytest.fixture(autouse=True)
def statistics(own_projections: None) -> None:
    registry.register(FlowStatistics)
    registry.register(NodeStatistics)


def live_through(flow: Flow, names: list[str], chance: random.Random, now: FakeClock) -> None:
    """Have participants enter, reply, buy, be cancelled, over some days."""
    for name in names:
        triggers.start(flow, name, context={"good": chance.random() < 0.5})
    run_until_idle()
    for event_type in ("replied", "bought", "bought"):
        for name in chance.sample(names, len(names) // 3):
            publish_event(name, event_type, tenant=flow.tenant)
        route(slice_s=10, task_id="")
        now.advance(hours=chance.choice((1, 7, 30)))
        timers.wake_due(slice_s=10, task_id="")
        run_until_idle()
    for instance in FlowInstance.objects.filter(participant_id__in=chance.sample(names, 2), status="waiting"):
        operations.cancel(str(instance.pk))


def test_statistics_equal_a_count_over_the_log(flow_of: Callable[..., Flow], now: FakeClock) -> None:
    first, second = flow_of(TESTED, name="first"), flow_of(TESTED, name="second")
    chance = random.Random(7)
    for turn in range(3):
        for flow in (first, second):
            live_through(flow, [f"p{turn}-{i}" for i in range(12)], chance, now)
        rounds.run()

    catch_up()

    assert_equal_to_the_log()
    assert CohortStatistic.objects.filter(kind="converted", key="short", goal="bought").exists()
    assert NodeStatistic.objects.filter(node_id="ask", kind="branch", key="timed_out").exists()


def test_each_event_belongs_to_the_version_that_its_run_had_then(flow_of: Callable[..., Flow], now: FakeClock) -> None:
    flow = flow_of(TESTED)
    started = [triggers.start(flow, f"p{i}") for i in range(4)]
    run_until_idle()
    migrated = [str(each.pk) for each in started[:2]]
    execute(
        "INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, schema_version,"
        " data, metadata, recorded_at, tx) SELECT gen_random_uuid(), tenant_id, 'instance', id, sequence + 1,"
        """ 'migrated', 1, '{"from_version": 1, "to_version": 2}', '{}', updated_at, log_tx + 1"""
        " FROM flow_instances WHERE id = ANY(%s::uuid[])",
        [migrated],
    )
    execute(
        "UPDATE flow_instances SET sequence = sequence + 1, migrated_at = now(), log_tx = log_tx + 1"
        " WHERE id = ANY(%s::uuid[])",
        [migrated],
    )
    for each in started:
        operations.cancel(str(each.pk))

    catch_up()

    assert_equal_to_the_log()
    exited = FlowStatistic.objects.filter(kind="exited")
    assert {(each.version, each.n) for each in exited} == {(1, 2), (2, 2)}


def test_a_conversion_counts_once_for_each_goal_of_a_run(flow_of: Callable[..., Flow], now: FakeClock) -> None:
    flow = flow_of(TESTED)
    triggers.start(flow, "ada")
    run_until_idle()
    for event_type in ("replied", "bought", "bought"):
        publish_event("ada", event_type, tenant=flow.tenant)
        route(slice_s=10, task_id="")
        run_until_idle()
        now.advance(hours=3)

    catch_up()

    rows = CohortStatistic.objects.filter(kind="converted", node_id="")
    assert {row.goal: row.n for row in rows}[""] == 1
    assert all(row.n == 1 for row in rows)
    assert_equal_to_the_log()


def test_statistics_are_rebuilt_beside_live_traffic(flow_of: Callable[..., Flow], now: FakeClock) -> None:
    flow = flow_of(TESTED)
    chance = random.Random(11)
    live_through(flow, [f"early-{i}" for i in range(20)], chance, now)
    rounds.run()
    over = threading.Event()

    def traffic() -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            triggers.start_many(flow, [f"late-{turn}-{i}" for i in range(5)])
            run_until_idle()
            rounds.run()

    with Meanwhile(traffic) as writer:
        for name in ("flow_statistics", "node_statistics"):
            assert ProjectionManager().rebuild_sync(name).build == 2
        over.set()
        writer.answer()
    catch_up()

    assert_equal_to_the_log()
    for model in (FlowStatistic, NodeStatistic, CohortStatistic):
        assert set(model.objects.values_list("build", flat=True)) == {2}


def test_statistics_survive_killed_workers_and_concurrent_writers(
    flow_of: Callable[..., Flow], real_workers: Callable[..., Any]
) -> None:
    flow = flow_of(TESTED)
    supervisor = real_workers("advance", "background", "sweeper", workers=2)
    over = threading.Event()

    def write(writer: int) -> int:
        turn = 0
        while not over.wait(PACE_S):
            turn += 1
            names = [f"p{writer}-{turn}-{i}" for i in range(10)]
            triggers.start_many(flow, names)
            for name in names[::3]:
                publish_event(name, "bought", tenant=flow.tenant)
        return turn

    with Meanwhile(lambda: write(1)) as one, Meanwhile(lambda: write(2)) as other:
        for _ in range(2):
            moved = execute(PROGRESS).fetchone()
            wait_for(lambda moved=moved: execute(PROGRESS).fetchone() > moved, seconds=60, what="projections to move")
            assert len(supervisor.kill("background", "advance")) == 2
            assert supervisor.wait_ready(120)
        over.set()
        assert one.answer(seconds=60)
        assert other.answer(seconds=60)
    wait_for(lambda: not execute(UNDER_WAY).fetchone(), seconds=90, what="everybody to wait or be through")
    wait_for(lambda: not rounds.is_behind(), seconds=120, what="the workers to have projected everything")

    catch_up()
    assert_equal_to_the_log()
