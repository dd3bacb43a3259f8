"""Why an instance stands where it stands."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from engine import operations, triggers, why
from engine.models import Activity, BatchClaim, Timer
from engine.nodes import registry
from flows import lifecycle
from flows.models import Flow, FlowInstance
from tests.engine.conftest import NOON, FakeClock
from tests.engine.operating import BROKEN, Effect, Fragile, breaking, for_event, waiting, with_effect
from tests.support.passage import Passage


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    BROKEN["is"] = True
    registry.register(Fragile)
    registry.register(Effect)


def of(passage: Passage) -> dict[str, Any]:
    answer = why.why(passage.instance)
    assert len(answer["causes"]) == 1, answer
    return answer["causes"][0]


def test_a_wait_says_until_when(passage: Callable[..., Passage]) -> None:
    cause = of(passage(waiting()).start())

    assert cause["code"] == "waiting_for_time"
    assert cause["detail"] == "At node “pause” it waits since 2030-01-01 12:00 UTC until 2030-01-04 12:00 UTC."
    assert (cause["node_id"], cause["wakes_on"]) == ("pause", "time")


def test_a_wait_for_an_event_says_for_which(passage: Callable[..., Passage]) -> None:
    cause = of(passage(for_event()).start())

    assert (cause["code"], cause["wakes_on"]) == ("waiting_for_event", "the event “clicked” or time")


def test_a_timer_that_is_due(passage: Callable[..., Passage], now: FakeClock) -> None:
    ada = passage(waiting("1h")).start()
    now.advance(hours=3)

    assert of(ada)["code"] == "due"


def test_ready_and_being_run(flow_of: Callable[..., Flow]) -> None:
    instance = triggers.start(flow_of(waiting()), "ada")
    assert [each["code"] for each in why.why(instance)["causes"]] == ["ready"]

    BatchClaim.objects.create(worker_key=1, worker="host:1", instance_ids=[instance.pk], started_at=NOON)

    (cause,) = why.why(instance)["causes"]
    assert (cause["code"], cause["held_by"]) == ("being_run", "host:1")


def test_activities(passage: Callable[..., Passage]) -> None:
    ada = passage(with_effect()).start()
    assert of(ada)["code"] == "activity_pending"

    rows = Activity.objects.all()
    rows.update(status="running", lease_until=NOON, worker="host:2")
    assert (of(ada)["code"], of(ada)["held_by"]) == ("activity_running", "host:2")

    rows.update(status="parked", lease_until=None, attempts=3, error={"code": "error", "detail": "refused"})
    assert of(ada)["code"] == "activity_parked"
    assert "parked after 3 attempts: refused" in of(ada)["detail"]
    assert why.stranded() == []


def test_pauses(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    lifecycle.pause(ada.flow)
    assert [each["code"] for each in why.why(ada.instance)["causes"]] == ["flow_paused", "waiting_for_time"]
    lifecycle.resume(ada.flow)

    operations.pause(ada.id, reason="holiday", actor="grace")

    found = why.why(ada.instance)
    assert [each["code"] for each in found["causes"]] == ["paused", "waiting_for_time"]
    assert found["summary"].startswith("It was paused by grace at 2030-01-01 12:00 UTC (holiday)")


def test_ends(passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()
    assert of(ada)["code"] == "failed"
    assert "it broke" in of(ada)["detail"]

    bob = passage(waiting(), "bob").start()
    operations.cancel(bob.id)
    assert "cancelled_by_operator" in of(bob)["detail"]


def test_the_stranded_are_found_by_one_statement(passage: Callable[..., Passage], flow_of: Callable[..., Flow]) -> None:
    ada = passage(waiting()).start()
    for participant in ("bob", "eve"):
        Passage(ada.flow, participant).start()
    triggers.start(flow_of(with_effect()), "zoe")
    assert why.stranded() == []

    Timer.objects.filter(instance_id=ada.id).delete()
    with CaptureQueriesContext(connection):
        found = why.stranded()

    assert [each.id for each in found] == [str(ada.id)]
    assert of(ada)["code"] == "stranded"


def test_a_timer_held_for_no_reason_is_stranded(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    Timer.objects.update(held=True)

    assert [each.id for each in why.stranded()] == [str(ada.id)]
    assert "stranded" in [each["code"] for each in why.why(ada.instance)["causes"]]


def test_the_command_explains_one(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()

    out = io.StringIO()
    call_command("why", str(ada.id), stdout=out)
    assert "waits since 2030-01-01 12:00 UTC until 2030-01-04 12:00 UTC. [waiting_for_time]" in out.getvalue()

    out = io.StringIO()
    call_command("why", str(ada.id), "--json", stdout=out)
    assert json.loads(out.getvalue())["causes"][0]["code"] == "waiting_for_time"

    with pytest.raises(CommandError, match="no instance"):
        call_command("why", "nobody")


def test_the_command_lists_the_stranded(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    out = io.StringIO()
    call_command("why", stdout=out)
    assert out.getvalue() == "Nothing is stranded.\n"

    Timer.objects.all().delete()
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("why", "--json", stdout=out)

    assert ended.value.code == 1
    assert [each["id"] for each in json.loads(out.getvalue())["stranded"]] == [str(ada.id)]


def test_every_code_is_in_the_docs() -> None:
    source = Path(why.__file__).read_text()
    page = (Path(__file__).parents[2] / "docs/reference/why.md").read_text()

    codes = set(re.findall(r"""Cause\(\s*"([a-z_]+)\"""", source))

    assert len(codes) >= 14
    assert codes <= set(re.findall(r"`([a-z_]+)`", page))


def test_everybody_alive_has_a_reason_after_each_verb(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    for verb in (operations.pause, operations.resume, operations.cancel):
        verb(ada.id)
        assert why.stranded() == []
    assert FlowInstance.objects.count() == 1
