"""A roll-back travels as a Celery chain, and loses nothing when the chain is lost, doubled or cannot be sent."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import transaction

from engine import bells, triggers
from engine.bells import Bell, Ringer
from engine.compensation import chains, links, verbs
from engine.models import Activity
from engine.tasks import compensate_next
from flows.models import Flow, FlowInstance
from tests.engine.compensation.conftest import NO, Book, trip, undone, work
from tests.support.passage import Passage
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound


def body(message: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(orjson.loads(base64.b64decode(message["body"])))


@pytest.fixture
def failed(passage: Callable[..., Passage]) -> Passage:
    Book.answers["courier"] = [NO]
    ada = passage(trip(on_failure="fail")).start()
    work()
    return ada


def test_it_is_a_chain_of_as_many_links_as_there_is_to_undo(failed: Passage, pushed: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        verbs.compensate(failed.id)
        assert pushed == []

    (message,) = pushed
    args, kwargs, embedded = body(message)
    assert message["headers"]["task"] == "engine.compensate_next"
    assert message["properties"]["delivery_info"]["routing_key"] == "activities"
    assert (args, kwargs) == ([], {"saga_ids": [], "instance_ids": [str(failed.id)]})
    (second,) = embedded["chain"]
    assert (second["task"], second["kwargs"], second["immutable"]) == ("engine.compensate_next", kwargs, True)


def test_what_is_not_committed_is_not_published(failed: Passage, pushed: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        verbs.compensate(failed.id)
        transaction.set_rollback(True)

    assert (pushed, failed.status) == ([], "failed")


def test_each_link_undoes_what_is_next_and_the_last_one_ends_it(failed: Passage) -> None:
    verbs.compensate(failed.id)

    assert links.do_next(instance_ids=[str(failed.id)]) == 1
    assert (failed.status, undone()) == ("compensating", ["c-1"])
    assert links.do_next(instance_ids=[str(failed.id)]) == 1

    assert (failed.status, undone()) == ("compensated", ["c-1", "stock"])
    assert links.do_next(instance_ids=[str(failed.id)]) == 0
    assert_all_sound()


def test_links_that_come_twice_at_once_do_it_once(failed: Passage) -> None:
    verbs.compensate(failed.id)

    at_once([lambda: links.do_next(instance_ids=[str(failed.id)])] * 4)
    at_once([lambda: links.do_next(instance_ids=[str(failed.id)])] * 4)

    assert (failed.status, undone()) == ("compensated", ["c-1", "stock"])
    assert_all_sound()


def test_a_lost_chain_is_made_up_for_by_the_activity_workers(failed: Passage, pushed: list[dict[str, Any]]) -> None:
    verbs.compensate(failed.id)
    pushed.clear()

    work()

    assert (failed.status, undone()) == ("compensated", ["c-1", "stock"])


def test_what_a_dead_worker_held_is_left_to_one_that_runs_it_alone(failed: Passage) -> None:
    verbs.compensate(failed.id)
    Activity.objects.filter(kind="compensation").update(deaths=1)

    assert links.do_next(instance_ids=[str(failed.id)]) == 0
    work()

    assert failed.status == "compensated"


def test_the_last_link_rings_for_what_is_left(failed: Passage, rung: list[Bell]) -> None:
    verbs.compensate(failed.id)
    rung.clear()

    compensate_next.run(saga_ids=[], instance_ids=[str(failed.id)])

    assert failed.status == "compensating"
    assert Bell.ACTIVITIES in rung


def test_many_that_fail_together_share_chains(flow_of: Callable[..., Flow], pushed: list[dict[str, Any]]) -> None:
    flow = flow_of(trip())
    Book.answers["courier"] = [NO] * 120
    triggers.start_many(flow, [f"p{i}" for i in range(120)])
    work()

    assert FlowInstance.objects.filter(status="compensated").count() == 120
    ids = [each for message in pushed for each in body(message)[1]["instance_ids"]]
    assert len(ids) == len(set(ids)) == 120
    assert len(pushed) < 30
    assert_all_sound()


def test_a_broker_that_is_away_costs_the_caller_next_to_nothing(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    deaf = Ringer()
    monkeypatch.setattr(chains, "ringer", deaf)
    bells.ring(Bell.ADVANCE)
    began = time.perf_counter()

    assert not chains.publish(instance_ids=["a"], links=3)
    assert not chains.publish(instance_ids=["a"], links=3)

    assert deaf.failures == 1
    assert time.perf_counter() - began < 2.0
