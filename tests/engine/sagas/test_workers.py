"""Sagas on workers: an activity for each step, and the way back when one fails."""

from __future__ import annotations

from collections.abc import Callable

from engine.models import Activity
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, step, work

Begin = Callable[..., Followed]


def test_steps_that_wait_for_nobody_begin_at_once_and_results_are_kept(begin: Begin) -> None:
    order = begin(step("a"), step("b", calls.note_async))

    assert order.events == ["saga_created", "saga_started", "step_started", "step_started"]
    work()

    assert order.state == "COMPLETED"
    assert order.status["results"] == {"a": "did a", "b": "did b"}
    assert sorted(order.status["steps_completed"]) == ["a", "b"]
    assert order.events[-1] == "saga_completed"


def test_a_step_begins_when_those_it_comes_after_are_completed(begin: Begin) -> None:
    order = begin(step("d", after=["b", "c"]), step("a"), step("b", after=["a"]), step("c", after=["a"]))

    work()

    assert order.status["steps_completed"][0] == "a"
    assert order.status["steps_completed"][-1] == "d"
    assert Activity.objects.get(node_id="d").input["results"] == {"a": "did a", "b": "did b", "c": "did c"}


def test_when_a_step_fails_what_was_completed_is_undone_in_reverse_order(begin: Begin) -> None:
    order = begin(step("a"), step("b", after=["a"]), step("c", calls.decline, after=["b"]), step("d", after=["c"]))

    work()

    assert order.state == "COMPENSATED"
    assert calls.done == ["a", "b", "not b", "not a"]
    assert [each["state"] for each in order.row.steps] == ["completed", "completed", "failed", "skipped"]
    assert order.row.ending["cause"] == "failure"
    assert order.status["error"] == {"code": "CardDeclined", "detail": "no funds"}
