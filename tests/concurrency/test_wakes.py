"""The end of a side effect wakes its run, whatever meets it on the way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction

from engine import activity_worker, operations, sweeper, triggers, why
from engine.connections import execute, one
from engine.execution import lookback, loop, wakes
from engine.models import Wake
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node, NodeConfig, RunsAs
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Outcome
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle
from tests.support.races import Meanwhile
from tests.support.soundness import assert_all_sound


class Deed(Node):
    """A side effect that does nothing."""

    type = "deed"
    runs_as = RunsAs.ACTIVITY

    class Config(ActionConfig):
        """As every action."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Completed({})


class Spoiler(Node):
    """Gives what cannot be stored, for whoever is called so."""

    type = "spoiler"
    runs_as = RunsAs.INLINE

    class Config(NodeConfig):
        """Nothing to say."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        return Completed({"text": "nul \x00" if step.participant_id == "spoiler" else "fine"})


@pytest.fixture(autouse=True)
def deeds() -> Iterator[None]:
    """Types of these tests, hands of their own, and silence."""
    registry.register(Deed)
    registry.register(Spoiler)
    activity_worker._worker.clear()
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    activity_worker._worker.clear()


AFTER: dict[str, tuple[Any, ...]] = {
    "spoiler": ("spoiler", {}, {None: "done"}),
    "reply": ("wait_for_event", {"event_type": "go"}, {"event_received": "done", "timed_out": "done"}),
}


@pytest.fixture
def woken(flow_of: Callable[..., Flow]) -> Callable[..., list[str]]:
    """Runs whose side effect has ended, and who were not looked at since."""

    def start(names: list[str], *, then: str = "spoiler") -> list[str]:
        nodes: dict[str, tuple[Any, ...]] = {
            "entry": (*ENTRY, {None: "deed"}),
            "deed": ("deed", {}, {None: then}),
            then: AFTER[then],
            "done": ("exit", {}),
        }
        verdicts = triggers.start_many(flow_of(graph(nodes)), names)
        run_until_idle()
        activity_worker.run(slice_s=20)
        return [str(verdict.instance_id) for verdict in verdicts]

    return start


def statuses() -> dict[str, str]:
    return dict(FlowInstance.objects.values_list("participant_id", "status"))


def test_a_wake_stands_for_the_mark_until_its_run_is_looked_at(woken: Callable[..., list[str]]) -> None:
    (ada,) = woken(["ada"])

    instance = FlowInstance.objects.get(pk=ada)
    assert (instance.status, instance.runnable, Wake.objects.count()) == ("waiting", False, 1)
    assert "ready" in [cause["code"] for cause in why.why(instance)["causes"]]
    assert why.stranded() == []
    assert sweeper.is_runnable()

    run_until_idle()

    assert statuses() == {"ada": "completed"}
    assert not Wake.objects.exists()
    assert not sweeper.is_runnable()


def test_of_woken_runs_the_one_that_cannot_be_stored_fails_alone(woken: Callable[..., list[str]]) -> None:
    names = [f"p{i}" for i in range(30)]
    woken([*names, "spoiler"])

    run_until_idle()

    assert statuses() == dict.fromkeys(names, "completed") | {"spoiler": "failed"}
    assert not Wake.objects.exists()
    assert_all_sound()


def test_a_suspect_that_is_woken_is_run_alone(woken: Callable[..., list[str]]) -> None:
    ids = woken(["ada", "bob"])
    FlowInstance.objects.filter(pk=ids[1]).update(deaths=1)

    with transaction.atomic():
        assert [row.id for row in wakes.take(10)] == [ids[0]]
        assert set(FlowInstance.objects.filter(runnable=True).values_list("participant_id", flat=True)) == {"bob"}
        transaction.set_rollback(True)
    run_until_idle()

    assert statuses() == {"ada": "completed", "bob": "completed"}
    assert_all_sound()


def test_a_wake_of_a_run_that_ended_meanwhile_moves_nothing(woken: Callable[..., list[str]]) -> None:
    ids = woken(["ada", "bob"])
    operations.cancel(ids[0])

    run_until_idle()

    assert statuses() == {"ada": "exited", "bob": "completed"}
    assert not Wake.objects.exists()
    assert_all_sound()


@pytest.mark.parametrize("planned", ["by index", "by sorting"])
def test_two_takers_do_not_take_the_same_run(woken: Callable[..., list[str]], planned: str) -> None:
    ids = woken([f"p{i}" for i in range(6)])
    held, let_go, first = threading.Event(), threading.Event(), []

    def hold() -> None:
        with transaction.atomic():
            for way in ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"):
                execute(f"SET LOCAL {way} = {planned == 'by index'}")
            first.extend(row.id for row in wakes.take(4))
            held.set()
            assert let_go.wait(60)
            transaction.set_rollback(True)

    with Meanwhile(hold) as other:
        assert held.wait(60)
        with transaction.atomic():
            second = [row.id for row in wakes.take(10)]
            transaction.set_rollback(True)
        let_go.set()
        other.answer()

    assert sorted(first + second) == sorted(ids)
    assert Wake.objects.count() == 6


def test_a_woken_run_whose_participant_is_with_a_router_stays_to_be_run(
    woken: Callable[..., list[str]], tenant: Tenant
) -> None:
    (ada,) = woken(["ada"], then="reply")
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            assert lookback.try_participants([lookback.participant_key(str(tenant.pk), "ada")])
            held.set()
            assert let_go.wait(60)

    with Meanwhile(hold) as router:
        assert held.wait(60)
        assert loop.advance(slice_s=0.2) == 0
        assert FlowInstance.objects.get(pk=ada).runnable
        let_go.set()
        router.answer()
    run_until_idle()

    assert [token["node_id"] for token in FlowInstance.objects.get(pk=ada).current_nodes] == ["reply"]
    assert one("SELECT count(*) FROM batch_claims") == 0
    assert_all_sound()
