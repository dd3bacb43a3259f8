"""A run as a story."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import operations, queries
from engine.execution import state
from engine.nodes import registry
from tests.engine.operating import BROKEN, Effect, Fragile, append, breaking, waiting, wake
from tests.support.passage import Passage, run_until_idle


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    BROKEN["is"] = True
    registry.register(Fragile)
    registry.register(Effect)


def story(passage: Passage) -> list[tuple[str, str]]:
    return [(each["kind"], each["title"]) for each in map(queries.as_entry, queries.timeline(passage.instance))]


def test_a_wait_is_told_from_entry_to_end(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    wake(ada, "pause")
    run_until_idle()

    told = [queries.as_entry(each) for each in queries.timeline(ada.instance)]

    assert [each["kind"] for each in told] == [
        "entered", "node_completed", "waiting", "resumed", "node_completed", "node_completed", "completed",
    ]  # fmt: skip
    assert told[2]["detail"] == "At node “pause”, until 2030-01-04 12:00 UTC."
    assert told[3]["title"] == "The time was up"


def test_an_operators_acts_are_told_with_their_name(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    operations.pause(ada.id, actor="grace", reason="holiday")
    operations.resume(ada.id, actor="grace")
    operations.cancel(ada.id, actor="grace", reason="by phone")

    told = [queries.as_entry(each) for each in queries.timeline(ada.instance)][-3:]

    assert [(each["kind"], each["actor"]) for each in told] == [("operator", "grace")] * 3
    assert told[-1]["detail"] == "Reason: cancelled_by_operator. by phone"


def test_failure_and_retry(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()
    operations.retry(ada.id)

    assert [kind for kind, _ in story(ada)][-3:] == ["failure", "failure", "retry"]


def test_an_event_that_woke_a_wait_is_named(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    event = {"event_id": "e1", "event_type": "clicked", "data": {}, "occurred_at": "2030-01-01T12:00:00+00:00"}
    append(ada, "wait_resolved", {"node": "pause", "by": "event", "event": event})

    assert story(ada)[-1] == ("resumed", "The event “clicked” arrived")


def test_every_type_of_event_has_words_or_is_left_out() -> None:
    without = set(state._FOLDS) - set(queries.UNTOLD)

    assert without == set(queries._TELLERS)
