"""Whatever happens to a roll-back, in whatever order: each node is undone, newest first; rows are what events say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import activities, activity_handlers, activity_worker, repairs, triggers
from engine.compensation import links, verbs
from engine.leases import Lease
from engine.models import Activity, StoredEvent
from engine.nodes.outcomes import Failed
from flows import lifecycle
from flows.errors import IllegalTransition
from flows.models import Flow, FlowInstance
from tenants.errors import KalciferError
from tests.engine.compensation.conftest import NO, Book, make_due, trip, undone, work
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound

META = {"actor": "test", "task_id": ""}
NODES = ("a", "b", "c")


def line() -> dict[str, Any]:
    nodes: dict[str, tuple[Any, ...]] = {"entry": (*ENTRY, {None: "a"})}
    for name, following in zip(NODES, (*NODES[1:], "last"), strict=True):
        nodes[name] = ("book", {"what": name}, {None: following})
    nodes["last"] = ("book", {"what": "last", "on_failure": "fail"}, {None: "done"})
    nodes["done"] = ("exit", {})
    return graph(nodes, on_failure="compensate")


def expire() -> None:
    """A worker took what is due and died."""
    activities.take(5, "dead")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE activities SET lease_until = clock_timestamp() - interval '1 s' WHERE status = 'running'"
        )
    activities.reclaim(META)


def by_operator(act: Callable[[Activity], object]) -> Callable[[str], None]:
    def decide(_: str) -> None:
        for parked in Activity.objects.filter(status="parked"):
            act(parked)

    return decide


def ask_again(key: str) -> None:
    try:
        verbs.compensate(key)
    except IllegalTransition as refusal:
        assert refusal.current != "compensation_failed"


def pause_a_while(key: str) -> None:
    flow = Flow.objects.get(pk=FlowInstance.objects.get(pk=key).flow_id)
    lifecycle.pause(flow)
    make_due()
    activity_worker.run(slice_s=5.0)
    lifecycle.resume(flow)


HAPPENINGS: dict[str, Callable[[str], object]] = {
    "link": lambda key: links.do_next(instance_ids=[key]),
    "worker": lambda key: activity_worker.run(slice_s=5.0),
    "time": lambda key: make_due(),
    "death": lambda key: expire(),
    "retry": by_operator(repairs.retry_activity),
    "by hand": by_operator(repairs.complete_activity),
    "given up": by_operator(repairs.fail_activity),
    "asked": ask_again,
    "pause": pause_a_while,
}


def _call(lease: Lease) -> Any:
    (call,) = activity_handlers.calls([lease])
    return call()


def fail_at_the_last(key: str) -> None:
    """Go through the flow until its roll-back has begun, and do nothing of that."""
    run_until_idle()
    for _ in (*NODES, "last"):
        done = [activities.judge(lease, _call(lease)) for lease in activities.take(1, "test")]
        activities.record(done, META)
        run_until_idle()
    assert FlowInstance.objects.get(pk=key).status == "compensating"


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    failures=st.fixed_dictionaries({name: st.lists(st.sampled_from(("later", "never")), max_size=2) for name in NODES}),
    happenings=st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=8),
)
def test_any_order(flow_of: Callable[..., Flow], failures: dict[str, list[str]], happenings: list[str]) -> None:
    outcomes = {"later": Failed("busy"), "never": NO}
    Book.log = []
    Book.answers = {f"undo {name}": [outcomes[each] for each in given] for name, given in failures.items()}
    Book.answers["last"] = [NO]
    key = str(triggers.start(flow_of(line(), name="any"), "ada").pk)
    fail_at_the_last(key)

    for name in happenings:
        HAPPENINGS[name](key)
        assert_all_sound()
    while FlowInstance.objects.get(pk=key).status != "compensated":
        ask_again(key)
        make_due()
        activity_worker.run(slice_s=5.0)

    succeeded = StoredEvent.objects.filter(aggregate_id=key, type="compensation_succeeded").order_by("sequence")
    assert [each.data["node"] for each in succeeded] == list(reversed(NODES))
    assert list(dict.fromkeys(undone())) == [name for name in reversed(NODES) if name in undone()]
    assert_all_sound()


def test_what_kills_its_workers_is_parked_as_quarantined(passage: Callable[..., Passage]) -> None:
    Book.answers["courier"] = [NO]
    ada = passage(trip(on_failure="fail")).start()
    work()
    verbs.compensate(ada.id)

    for take in (activities.take, activities.take_suspect, activities.take_suspect):
        assert take(5, "dead") if take is activities.take else activities.take_suspect("dead")
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE activities SET lease_until = clock_timestamp() - interval '1 s' WHERE status = 'running'"
            )
        activities.reclaim(META)

    assert ada.status == "compensation_failed"
    assert Activity.objects.get(kind="compensation").error["code"] == "quarantined"
    assert_all_sound()


def test_of_operators_who_ask_at_once_one_is_heard(passage: Callable[..., Passage]) -> None:
    Book.answers["courier"] = [NO]
    ada = passage(trip(on_failure="fail")).start()
    work()

    def ask() -> str:
        try:
            verbs.compensate(ada.id)
        except KalciferError as refusal:
            return refusal.code
        return "heard"

    said = at_once([ask] * 4)

    assert sorted(said) == ["heard", *["invalid_transition"] * 3]
    work()
    assert (ada.status, undone()) == ("compensated", ["c-1", "stock"])
    assert_all_sound()


@pytest.mark.parametrize("verb", ["retry", "compensate"])
def test_of_a_retry_and_a_roll_back_one_wins(passage: Callable[..., Passage], verb: str) -> None:
    Book.answers["courier"] = [NO]
    ada = passage(trip(on_failure="fail")).start()
    work()
    first, second = verbs.operations.retry, verbs.compensate
    if verb == "compensate":
        first, second = second, first

    first(ada.id)
    with pytest.raises(IllegalTransition):
        second(ada.id)
    work()

    assert ada.status == ("completed" if verb == "retry" else "compensated")
    assert_all_sound()
