"""Side effects: recorded before and after, tried again, parked, handed on, fenced."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db import connection

from engine import activities, activity_worker, event_router, operations
from engine.inbox import publish_event
from engine.leases import Lease
from engine.models import Activity
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Failed, Outcome
from flows import lifecycle
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle

META = {"actor": "test", "task_id": ""}


class Charge(Node):
    """A side effect whose answers a test decides."""

    type = "charge"
    answers: ClassVar[list[Outcome | Exception]] = []
    keys: ClassVar[list[str]] = []

    class Config(ActionConfig):
        """As every action."""

    def prepare(self, config: Any, step: StepContext) -> dict[str, Any]:
        return {"amount": step.entry.get("amount", 1)}

    def execute(self, config: Any, step: StepContext) -> Outcome:
        Charge.keys.append(step.idempotency_key)
        answer = Charge.answers.pop(0) if Charge.answers else Completed({"charged": step.input["amount"]})
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def charge() -> type[Charge]:
    registry.register(Charge)
    Charge.answers, Charge.keys = [], []
    activity_worker._worker.clear()
    return Charge


def charging(**config: Any) -> dict[str, Any]:
    nodes: dict[str, tuple[Any, ...]] = {
        "entry": (*ENTRY, {None: "charge"}),
        "charge": (
            "charge",
            config,
            {None: "done", **({"failed": "sorry"} if config.get("on_failure") == "branch" else {})},
        ),
        "done": ("exit", {"reason": "paid"}),
    }
    if config.get("on_failure") == "branch":
        nodes["sorry"] = ("exit", {"reason": "unpaid"})
    return graph(nodes)


def do_what_is_due() -> None:
    activity_worker.run(slice_s=5.0)
    run_until_idle()


def make_due() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activities SET due_at = clock_timestamp() - interval '1 s'")


def test_a_side_effect_is_recorded_before_and_after(passage: Callable[..., Passage]) -> None:
    ada = passage(charging()).start(context={"amount": 5})
    assert ada.status == "waiting"
    assert Activity.objects.get().status == "pending"

    do_what_is_due()

    assert ada.status == "completed"
    assert ada.results["charge"] == {"charged": 5}
    assert ada.event_types[2:6] == ["node_started", "activity_scheduled", "activity_completed", "node_completed"]
    assert Activity.objects.get().status == "completed"


def test_another_attempt_has_the_same_key(passage: Callable[..., Passage]) -> None:
    Charge.answers = [Failed("busy"), RuntimeError("cable cut")]
    ada = passage(charging()).start()

    for _ in range(3):
        do_what_is_due()
        make_due()

    assert ada.status == "completed"
    assert Charge.keys == [f"{ada.id}:charge:1"] * 3
    assert ada.event_types.count("activity_failed") == 2


def succeed_unseen() -> None:
    """Do what is due, and let nobody take it up."""
    activity_worker.run(slice_s=5.0)


def test_a_success_before_a_pause_is_taken_up_after_it(passage: Callable[..., Passage]) -> None:
    ada = passage(charging()).start()
    succeed_unseen()

    operations.pause(ada.id)
    run_until_idle()
    assert ada.status == "paused"
    operations.resume(ada.id)
    run_until_idle()

    assert ada.status == "completed"


def test_a_success_before_a_pause_of_the_flow_is_taken_up_after_it(passage: Callable[..., Passage]) -> None:
    ada = passage(charging()).start()
    lifecycle.pause(ada.flow)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activities SET held = false")
    succeed_unseen()
    run_until_idle()
    assert ada.status == "waiting"

    lifecycle.resume(ada.flow)
    activity_worker.run(slice_s=5.0)
    run_until_idle()

    assert ada.status == "completed"


def test_another_event_of_the_run_does_not_hide_a_success(passage: Callable[..., Passage]) -> None:
    goal = {"name": "won", "event_type": "bought", "window": "30d", "exit_on_goal": False}
    ada = passage({**charging(), "settings": {"goal": goal}}).start()
    succeed_unseen()

    publish_event("ada", "bought", tenant=ada.flow.tenant)
    event_router.route()
    run_until_idle()

    assert ada.status == "completed"
    assert "goal_reached" in ada.event_types


def test_what_stays_failed_is_parked(passage: Callable[..., Passage]) -> None:
    Charge.answers = [Failed("card expired", retryable=False)]
    ada = passage(charging()).start()

    do_what_is_due()

    assert ada.status == "waiting"
    assert Activity.objects.get().status == "parked"


@pytest.mark.parametrize(
    ("choice", "status", "reason"),
    [
        ("fail", "failed", ""),
        ("continue", "completed", "paid"),
        ("exit", "exited", "error"),
        ("branch", "completed", "unpaid"),
    ],
)
def test_an_explicit_choice_is_obeyed(passage: Callable[..., Passage], choice: str, status: str, reason: str) -> None:
    Charge.answers = [Failed("card expired", retryable=False)]
    ada = passage(charging(on_failure=choice)).start()

    do_what_is_due()

    assert (ada.status, ada.instance.exit_reason) == (status, reason)


def test_a_late_result_of_an_old_attempt_is_refused(passage: Callable[..., Passage]) -> None:
    ada = passage(charging()).start()
    (old,) = activities.take(1, "worker-1")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activities SET lease_until = clock_timestamp() - interval '1 s'")
    assert activities.reclaim(META) == 1
    (new,) = activities.take_suspect("worker-2")

    activities.record([activities.judge(old, Completed({"from": "old"}))], META)
    activities.record([activities.judge(new, Completed({"from": "new"}))], META)
    run_until_idle()

    assert ada.results["charge"] == {"from": "new"}


def test_what_kills_its_worker_three_times_is_parked_as_quarantined(passage: Callable[..., Passage]) -> None:
    passage(charging()).start()

    for take in (activities.take, activities.take_suspect, activities.take_suspect):
        assert take(1, "worker") if take is activities.take else take("worker")  # type: ignore[operator]
        with connection.cursor() as cursor:
            cursor.execute("UPDATE activities SET lease_until = clock_timestamp() - interval '1 s'")
        activities.reclaim(META)

    parked = Activity.objects.get()
    assert (parked.status, parked.error["code"]) == ("parked", "quarantined")


def test_a_result_that_cannot_be_stored_fails_alone(passage: Callable[..., Passage]) -> None:
    first = passage(charging())
    ada = first.start()
    bob = Passage(first.flow, "bob").start()
    Charge.answers = [Completed({"bad": "nul \x00"})]

    do_what_is_due()

    assert sorted([ada.status, bob.status]) == ["completed", "waiting"]
    assert sorted(Activity.objects.values_list("status", flat=True)) == ["completed", "parked"]


def test_a_call_that_takes_too_long_is_given_up(passage: Callable[..., Passage], now: Any) -> None:
    assert (
        activities.judge(
            Lease(
                "a",
                "t",
                None,
                None,
                "n",
                "node",
                "charge",
                {},
                "k",
                {
                    "attempts": 1,
                    "on_unknown": "park",
                    "explicit": True,
                    "non_retryable": [],
                    "backoff_s": 1,
                    "max_interval_s": 1,
                    "timeout_s": 1,
                },
                1,
            ),
            Failed("No answer", code="timeout", unknown=True, retry_after=timedelta(seconds=1)),
        ).status
        == "parked"
    )
