"""A run that fails undoes what it did, in reverse order, one after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import queries, repairs, why
from engine.compensation import verbs
from engine.models import Activity
from engine.nodes.outcomes import Failed
from flows import lifecycle
from flows.errors import IllegalTransition
from flows.models import Flow
from tests.engine.compensation.conftest import NO, Book, make_due, trip, undone, work
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage
from tests.support.soundness import assert_all_sound


def failing(passage: Callable[..., Passage], *more: Any, **settings: Any) -> Passage:
    Book.answers["courier"] = [NO]
    ada = passage(trip(**settings)).start()
    work()
    return ada


def test_a_failed_run_is_rolled_back_in_reverse_order(passage: Callable[..., Passage]) -> None:
    ada = failing(passage)

    assert ada.status == "compensated"
    assert undone() == ["c-1", "stock"]
    assert ada.event_types[-7:] == [
        "failed",
        "compensation_started",
        "compensation_scheduled",
        "compensation_succeeded",
        "compensation_scheduled",
        "compensation_succeeded",
        "compensation_completed",
    ]
    assert [each["node"] for each in ada.instance.compensation["plan"]] == ["payment", "stock"]
    assert ada.instance.error["code"] == "full"
    assert_all_sound()


def test_each_compensation_has_its_own_key_and_its_nodes_result(passage: Callable[..., Passage]) -> None:
    ada = failing(passage)

    assert ("refund", "c-1", f"{ada.id}:payment:compensate") in Book.log
    assert ("undo", "stock", "stock") in Book.log
    kinds = Activity.objects.filter(kind="compensation").values_list("idempotency_key", "status")
    assert set(kinds) == {(f"{ada.id}:payment:compensate", "completed"), (f"{ada.id}:stock:compensate", "completed")}


def test_without_the_setting_a_failed_run_stays_failed_until_an_operator_asks(passage: Callable[..., Passage]) -> None:
    ada = failing(passage, on_failure="fail")
    assert (ada.status, undone()) == ("failed", [])

    verbs.compensate(ada.id, reason="the customer called", actor="olga")
    assert ada.status == "compensating"
    work()

    assert (ada.status, undone()) == ("compensated", ["c-1", "stock"])
    started = next(each for each in ada.events if each.type == "compensation_started")
    assert started.data["cause"] == {"by": "operator", "actor": "olga", "reason": "the customer called"}
    assert_all_sound()


def test_an_exited_run_can_be_rolled_back(passage: Callable[..., Passage]) -> None:
    nodes = {
        "entry": (*ENTRY, {None: "stock"}),
        "stock": ("book", {"what": "stock"}, {None: "pause"}),
        "pause": ("wait", {"duration": "3d"}, {None: "done"}),
        "done": ("exit", {}),
    }
    ada = passage(graph(nodes)).start()
    work()
    verbs.operations.cancel(ada.id)

    verbs.compensate(ada.id)
    work()

    assert (ada.status, undone()) == ("compensated", ["stock"])
    assert_all_sound()


def test_nothing_to_undo_still_ends_compensated(passage: Callable[..., Passage]) -> None:
    Book.answers["first"] = [NO]
    nodes = {
        "entry": (*ENTRY, {None: "first"}),
        "first": ("book", {"what": "first", "on_failure": "fail"}, {None: "done"}),
        "done": ("exit", {}),
    }
    ada = passage(graph(nodes, on_failure="compensate")).start()
    work()

    assert (ada.status, undone()) == ("compensated", [])
    assert_all_sound()


@pytest.mark.parametrize("unknown", [True, False])
def test_a_side_effect_of_which_nobody_knows_is_undone_first(passage: Callable[..., Passage], *, unknown: bool) -> None:
    Book.answers["courier"] = [Failed("no answer", code="timeout", unknown=unknown, retryable=False)]
    ada = passage(trip()).start()
    work()

    assert ada.status == "compensated"
    assert undone() == (["courier"] if unknown else []) + ["c-1", "stock"]
    assert_all_sound()


def test_a_compensation_is_tried_again_by_its_policy(passage: Callable[..., Passage]) -> None:
    Book.answers["refund"] = [Failed("bank is away")]
    ada = failing(passage)
    assert (ada.status, undone()) == ("compensating", ["c-1"])
    assert ada.instance.compensation["plan"][0]["attempts"] == 1

    make_due()
    work()

    assert (ada.status, undone()) == ("compensated", ["c-1", "c-1", "stock"])
    keys = {key for verb, _, key in Book.log if verb == "refund"}
    assert len(keys) == 1
    assert_all_sound()


def stuck(passage: Callable[..., Passage]) -> Passage:
    Book.answers["refund"] = [NO]
    ada = failing(passage)
    assert ada.status == "compensation_failed"
    return ada


def test_what_stays_failing_is_parked_and_a_second_call_goes_on(passage: Callable[..., Passage]) -> None:
    ada = stuck(passage)
    last = ada.events[-1]
    assert (last.type, last.data["left"]) == ("compensation_failed", ["payment", "stock"])
    assert Activity.objects.get(kind="compensation").status == "parked"
    assert_all_sound()

    verbs.compensate(ada.id)
    assert ada.status == "compensating"
    work()

    assert (ada.status, undone()) == ("compensated", ["c-1", "c-1", "stock"])
    assert_all_sound()


def test_a_retry_of_the_parked_side_effect_goes_on(passage: Callable[..., Passage]) -> None:
    ada = stuck(passage)

    repairs.retry_activity(Activity.objects.get(kind="compensation"), actor="olga")
    assert ada.status == "compensating"
    work()

    assert (ada.status, undone()) == ("compensated", ["c-1", "c-1", "stock"])
    assert_all_sound()


def test_an_operator_may_declare_it_undone(passage: Callable[..., Passage]) -> None:
    ada = stuck(passage)

    repairs.complete_activity(Activity.objects.get(kind="compensation"), {"by": "hand"})
    work()

    assert (ada.status, undone()) == ("compensated", ["c-1", "stock"])
    assert_all_sound()


def test_what_an_operator_gave_up_can_be_tried_again_with_the_same_key(passage: Callable[..., Passage]) -> None:
    ada = stuck(passage)

    repairs.fail_activity(Activity.objects.get(kind="compensation"), reason="the bank is gone")
    assert ada.status == "compensation_failed"
    verbs.compensate(ada.id)
    work()

    assert ada.status == "compensated"
    assert [key for verb, _, key in Book.log if verb == "refund"] == [f"{ada.id}:payment:compensate"] * 2
    assert_all_sound()


def test_a_run_that_stands_elsewhere_is_refused(passage: Callable[..., Passage]) -> None:
    ada = passage(trip()).start()

    with pytest.raises(IllegalTransition):
        verbs.compensate(ada.id)

    assert ada.status == "waiting"


def test_another_live_run_refuses_the_roll_back_by_name(passage: Callable[..., Passage]) -> None:
    ada = failing(passage, on_failure="fail")
    again = Passage(ada.flow, "ada").start()

    with pytest.raises(verbs.operations.errors.AlreadyInFlow) as refusal:
        verbs.compensate(ada.id)

    assert refusal.value.extra == {"instance_id": str(again.id)}
    assert ada.status == "failed"


def test_a_paused_flow_holds_the_roll_back_and_erases_nothing(passage: Callable[..., Passage]) -> None:
    Book.answers["refund"] = [Failed("bank is away")]
    ada = failing(passage)
    lifecycle.pause(Flow.objects.get(pk=ada.flow.pk))
    make_due()
    work()
    assert (ada.status, undone()) == ("compensating", ["c-1"])
    assert [each["code"] for each in why.why(ada.instance)["causes"]] == ["flow_paused", "compensation_held"]

    lifecycle.resume(Flow.objects.get(pk=ada.flow.pk))
    work()

    assert (ada.status, undone()) == ("compensated", ["c-1", "c-1", "stock"])
    assert_all_sound()


def test_a_node_that_failed_and_was_passed_over_is_not_undone(passage: Callable[..., Passage]) -> None:
    nodes = {
        "entry": (*ENTRY, {None: "stock"}),
        "stock": ("book", {"what": "stock", "on_failure": "continue"}, {None: "courier"}),
        "courier": ("book", {"what": "courier", "on_failure": "fail"}, {None: "done"}),
        "done": ("exit", {}),
    }
    Book.answers = {"stock": [NO], "courier": [NO]}
    ada = passage(graph(nodes, on_failure="compensate")).start()
    work()

    assert (ada.status, undone()) == ("compensated", [])


def test_the_story_and_the_reason_are_told_in_words(passage: Callable[..., Passage]) -> None:
    ada = stuck(passage)
    assert "Still to be undone: “payment”, “stock”." in why.why(ada.instance)["summary"]
    verbs.compensate(ada.id, reason="again")
    assert [each["code"] for each in why.why(ada.instance)["causes"]] == ["compensating"]
    work()

    told = [queries.as_entry(each)["title"] for each in queries.timeline(ada.instance)]
    assert "The roll-back begins because the run failed" in told
    assert "Undoing “payment” failed and waits for an operator" in told
    assert told[-1] == "Rolled back"
    assert "2 nodes undone" in why.why(ada.instance)["summary"]
