"""What is to begin later: promised in the caller's transaction, begun once, tracked and taken back by its id."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client
from django.urls import reverse

from engine import activity_worker, errors, sweeper
from engine.bells import Bell
from engine.models import Activity, Timer
from engine.models.scheduled_work import ScheduledWork
from engine.workflow_scheduler import WorkflowScheduler, current_task_key, due
from flows import lifecycle
from flows.errors import IllegalTransition
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.engine.conftest import NOON, FakeClock
from tests.support.graphs import chain
from tests.support.passage import run_until_idle
from tests.support.races import at_once

calls: list[tuple[Any, ...]] = []


def note(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """A task."""
    calls.append((args, kwargs, current_task_key.get()))
    return {"noted": len(calls)}


async def note_later(word: str) -> str:
    """An asynchronous task."""
    calls.append((word, current_task_key.get()))
    return word.upper()


def break_down() -> None:
    """A task that fails."""
    raise LookupError("no such thing")


def answer_nonsense() -> object:
    """A task whose answer cannot be kept."""
    return object()


@pytest.fixture(autouse=True)
def quiet() -> None:
    calls.clear()
    activity_worker._worker.clear()


@pytest.fixture
def later(tenant: Tenant) -> WorkflowScheduler:
    return WorkflowScheduler(tenant)


@pytest.fixture
def flow(flow_of: Callable[..., Flow]) -> Flow:
    return flow_of(chain(1))


def state(later: WorkflowScheduler, work: UUID) -> str:
    return str(later.get_sync(work)["state"])


# --- when ---


def test_a_flow_begins_when_its_delay_is_over_and_not_before(
    later: WorkflowScheduler, flow: Flow, now: FakeClock
) -> None:
    work = later.schedule_flow_sync(flow, "ada", {"plan": "trial"}, delay=timedelta(hours=1))
    assert later.get_sync(work) == {
        "id": str(work),
        "kind": "flow",
        "state": "scheduled",
        "due_at": "2030-01-01T13:00:00Z",
        "result": None,
        "error": None,
    }
    now.advance(minutes=59)
    assert (due.is_due(), due.run_due()) == (False, 0)

    now.advance(minutes=1)
    assert (due.is_due(), due.run_due()) == (True, 1)
    run_until_idle()

    instance = FlowInstance.objects.get()
    assert later.get_sync(work)["result"] == {"instance_id": str(instance.pk)}
    assert (state(later, work), instance.status, instance.context["entry"]) == (
        "started",
        "completed",
        {"plan": "trial"},
    )
    assert (due.is_due(), Timer.objects.count()) == (False, 0)


def test_a_moment_with_its_zone_is_kept_and_one_that_is_over_is_now(later: WorkflowScheduler, flow: Flow) -> None:
    later.schedule_flow_sync(flow, "ada", at=datetime(2029, 1, 1, tzinfo=UTC))
    later.schedule_flow_sync(flow, "bob")

    assert due.run_due() == 2


def test_many_that_are_due_together_begin_together(later: WorkflowScheduler, flow: Flow) -> None:
    for n in range(60):
        later.schedule_flow_sync(flow, f"p{n}")

    assert due.run_due() == 60
    assert FlowInstance.objects.count() == 60


def test_a_promise_rings_its_countdown_after_commit(later: WorkflowScheduler, flow: Flow, rung: list[Bell]) -> None:
    with transaction.atomic():
        later.schedule_flow_sync(flow, "ada", delay=5)
        assert rung == []

    assert rung == [Bell.WAKE]


def test_the_sweep_finds_what_no_countdown_announced(later: WorkflowScheduler, flow: Flow, rung: list[Bell]) -> None:
    later.schedule_flow_sync(flow, "ada")
    rung.clear()

    sweeper.sweep()

    assert Bell.WAKE in rung


def test_without_the_broker_the_sweeper_begins_it(later: WorkflowScheduler, flow: Flow) -> None:
    work = later.schedule_flow_sync(flow, "ada")

    sweeper.run_without_broker(2.0)

    assert state(later, work) == "started"
    assert FlowInstance.objects.get().status == "completed"


# --- once ---


def test_the_callers_transaction_decides(later: WorkflowScheduler, flow: Flow) -> None:
    with transaction.atomic():
        work = later.schedule_flow_sync(flow, "ada")
        transaction.set_rollback(True)

    assert due.run_due() == 0
    with pytest.raises(errors.UnknownScheduledWork):
        later.get_sync(work)


def test_many_workers_begin_it_once(later: WorkflowScheduler, flow: Flow) -> None:
    for n in range(20):
        later.schedule_flow_sync(flow, f"p{n}")
        later.schedule_task_sync(note, [n])

    assert sum(at_once([due.run_due] * 4)) == 40
    assert FlowInstance.objects.count() == 20
    assert Activity.objects.filter(kind="task").count() == 20


def test_of_a_start_and_a_cancellation_one_wins(later: WorkflowScheduler, flow: Flow) -> None:
    works = [later.schedule_flow_sync(flow, f"p{n}") for n in range(12)]

    def cancel_all() -> int:
        done = 0
        for work in works:
            try:
                later.cancel_sync(work)
            except IllegalTransition:
                continue
            done += 1
        return done

    cancelled, begun = at_once([cancel_all, due.run_due])

    assert cancelled + begun == 12
    assert FlowInstance.objects.count() == begun
    assert ScheduledWork.objects.filter(status="cancelled").count() == cancelled


# --- taking back, and what cannot begin ---


def test_a_promise_is_taken_back_once(later: WorkflowScheduler, flow: Flow, now: FakeClock) -> None:
    work = later.schedule_flow_sync(flow, "ada", delay=60)

    assert later.cancel_sync(work)["state"] == "cancelled"
    with pytest.raises(IllegalTransition) as refusal:
        later.cancel_sync(work)

    assert refusal.value.current == "cancelled"
    now.advance(hours=1)
    assert (due.run_due(), FlowInstance.objects.count()) == (0, 0)


def test_what_has_begun_cannot_be_taken_back(later: WorkflowScheduler, flow: Flow) -> None:
    work = later.schedule_flow_sync(flow, "ada")
    due.run_due()

    with pytest.raises(IllegalTransition) as refusal:
        later.cancel_sync(work)

    assert refusal.value.current == "started"


def test_what_cannot_begin_fails_with_its_reason_and_its_neighbours_go_on(
    later: WorkflowScheduler, flow: Flow, flow_of: Callable[..., Flow]
) -> None:
    asleep = flow_of(chain(1), name="asleep")
    refused = {
        later.schedule_flow_sync(asleep, "ada"): "flow_not_active",
        later.schedule_flow_sync(flow, "eve", entry_node="nowhere"): "unknown_entry_node",
        later.schedule_saga_sync("nobody_knows_this", "order-1"): "unknown_definition",
    }
    good = [later.schedule_flow_sync(flow, "ada"), later.schedule_flow_sync(flow, "bob")]
    lifecycle.pause(asleep)

    assert due.run_due() == 5

    assert [state(later, each) for each in good] == ["started"] * 2
    for work, code in refused.items():
        found = later.get_sync(work)
        assert (found["state"], found["error"]["code"], found["result"]) == ("failed", code, None)


def test_a_payload_that_the_database_refuses_fails_alone(later: WorkflowScheduler, flow: Flow) -> None:
    bad = later.schedule_flow_sync(flow, "ada")
    good = later.schedule_flow_sync(flow, "bob")
    ScheduledWork.objects.filter(pk=bad).update(payload={"flow_id": "no id", "entry_node": None})

    assert due.run_due() == 2

    assert (state(later, bad), state(later, good)) == ("failed", "started")


# --- tasks ---


def test_a_task_is_called_by_an_activity_worker_with_a_key_of_its_own(later: WorkflowScheduler) -> None:
    work = later.schedule_task_sync(note, ["a", 1], {"b": None})
    assert due.run_due() == 1
    assert later.get_sync(work)["result"]["status"] == "pending"

    activity_worker.run(slice_s=5.0)

    assert calls == [(("a", 1), {"b": None}, f"task:{work}")]
    found = later.get_sync(work)["result"]
    assert (found["status"], found["value"]) == ("completed", {"noted": 1})


def test_an_asynchronous_task_named_by_its_path(later: WorkflowScheduler) -> None:
    work = later.schedule_task_sync(f"{__name__}:note_later", ["hello"])
    due.run_due()
    activity_worker.run(slice_s=5.0)

    assert calls == [("hello", f"task:{work}")]
    assert later.get_sync(work)["result"]["value"] == "HELLO"


@pytest.mark.parametrize(("task", "code"), [(break_down, "LookupError"), (answer_nonsense, "invalid_result")])
def test_a_task_that_stays_failing_is_parked_and_says_why(
    later: WorkflowScheduler, task: Callable[[], Any], code: str
) -> None:
    work = later.schedule_task_sync(task)
    due.run_due()
    for _ in range(5):
        Activity.objects.update(due_at=datetime(2020, 1, 1, tzinfo=UTC))
        activity_worker.run(slice_s=5.0)

    found = later.get_sync(work)
    assert (found["state"], found["result"]["status"], found["error"]["code"]) == ("started", "parked", code)


# --- bad input ---


def somewhere_else() -> Callable[[], None]:
    return lambda: None


@pytest.mark.parametrize(
    ("given", "attr"),
    [
        ({"at": datetime(2030, 1, 1)}, "at"),
        ({"at": "2030-01-01"}, "at"),
        ({"at": NOON, "delay": 1}, "at"),
        ({"delay": -1}, "delay"),
        ({"delay": timedelta(microseconds=-1)}, "delay"),
        ({"delay": True}, "delay"),
        ({"delay": float("nan")}, "delay"),
        ({"delay": timedelta.max}, "delay"),
        ({"delay": 1e300}, "delay"),
        ({"context": {"a": object()}}, "context"),
        ({"context": {"a": float("inf")}}, "context"),
        ({"context": {"a": "\0"}}, "context"),
        ({"context": ["a"]}, "context"),
        ({"participant_id": ""}, "participant_id"),
        ({"participant_id": "x" * 256}, "participant_id"),
        ({"participant_id": 3}, "participant_id"),
        ({"entry_node": ""}, "entry_node"),
    ],
)
def test_bad_input_of_a_flow_names_its_field(
    later: WorkflowScheduler, flow: Flow, given: dict[str, Any], attr: str
) -> None:
    with pytest.raises(errors.InvalidSchedule) as refusal:
        later.schedule_flow_sync(flow, **{"participant_id": "ada"} | given)

    assert refusal.value.attr == attr
    assert (Timer.objects.count(), ScheduledWork.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("task", "given", "attr"),
    [
        (somewhere_else(), {}, "task"),
        (3, {}, "task"),
        ("no_module:nothing", {}, "task"),
        (f"{__name__}:nothing", {}, "task"),
        (note, {"args": "abc"}, "args"),
        (note, {"args": [object()]}, "args"),
        (note, {"kwargs": {1: 2}}, "kwargs"),
        (note, {"kwargs": {"a": {1, 2}}}, "kwargs"),
        (note, {"timeout": 0}, "timeout"),
        (note, {"timeout": True}, "timeout"),
    ],
)
def test_bad_input_of_a_task_names_its_field(
    later: WorkflowScheduler, task: Any, given: dict[str, Any], attr: str
) -> None:
    with pytest.raises(errors.InvalidSchedule) as refusal:
        later.schedule_task_sync(task, **given)

    assert refusal.value.attr == attr


def test_bad_input_of_a_saga_names_its_field(later: WorkflowScheduler) -> None:
    for args, attr in ((("", "s"), "definition"), (("d", ""), "saga_id"), (("d", "s", {1}), "input")):
        with pytest.raises(errors.InvalidSchedule) as refusal:
            later.schedule_saga_sync(*args)
        assert refusal.value.attr == attr


def test_a_flow_that_is_not_there_is_refused_at_once(later: WorkflowScheduler) -> None:
    for nobody in (uuid4(), "no id"):
        with pytest.raises(errors.UnknownFlow):
            later.schedule_flow_sync(nobody, "ada")


# --- whose, and in which colour ---


def test_tenants_do_not_meet(later: WorkflowScheduler, flow: Flow, other_tenant: Tenant) -> None:
    theirs = WorkflowScheduler(other_tenant)
    work = later.schedule_flow_sync(flow, "ada")

    for ask in (theirs.get_sync, theirs.cancel_sync):
        with pytest.raises(errors.UnknownScheduledWork):
            ask(work)
    with pytest.raises(errors.UnknownFlow):
        theirs.schedule_flow_sync(flow, "ada")
    with pytest.raises(errors.UnknownScheduledWork):
        later.get_sync("no id")
    assert due.run_due() == 1


def test_every_method_has_an_asynchronous_twin(later: WorkflowScheduler, flow: Flow) -> None:
    async def story() -> list[str]:
        work = await later.schedule_flow(flow, "ada", delay=60)
        other = await later.schedule_task(note, [1])
        saga = await later.schedule_saga("a", "b", delay=1)
        return [(await later.cancel(work))["state"], (await later.get(other))["kind"], (await later.get(saga))["kind"]]

    assert async_to_sync(story)() == ["cancelled", "task", "saga"]


def test_an_operator_takes_it_back_on_its_page(later: WorkflowScheduler, flow: Flow, client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada", "ada@example.com", "x"))
    work = later.schedule_flow_sync(flow, "ada", delay=60)
    address = reverse("admin:engine_scheduledwork_press", args=[work, "cancel"])

    assert client.post(address, {"confirmed": "yes"}, follow=True).status_code == 200

    assert state(later, work) == "cancelled"
