"""Any run at any point of its log."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from engine import operations, replay, timers
from engine.execution import folding
from engine.models import Snapshot
from engine.snapshots import loading
from engine.snapshots.loading import Aggregate
from tests.engine.conftest import NOON, FakeClock
from tests.engine.operating import waiting
from tests.engine.test_verify import tampered
from tests.support.passage import Passage, run_until_idle

PLANTED = """
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata,
                               recorded_at, tx)
    SELECT gen_random_uuid(), tenant_id, aggregate_type, aggregate_id, sequence + 1, 'resumed', '{"reason": ""}',
           metadata, recorded_at, tx
      FROM stored_events WHERE aggregate_id = %s ORDER BY sequence DESC LIMIT 1
"""


@pytest.fixture
def ada(passage: Callable[..., Passage], now: FakeClock) -> Passage:
    """Started at noon, paused an hour later, resumed an hour later, done four days later."""
    ada = passage(waiting()).start(context={"plan": "gold"})
    for verb in (operations.pause, operations.resume):
        now.advance(hours=1)
        verb(ada.id)
    now.advance(days=4)
    timers.wake_due()
    run_until_idle()
    assert ada.status == "completed"
    return ada


def told(*words: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("replay", *words, "--json", stdout=out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def test_every_point_of_a_run_is_told(ada: Passage) -> None:
    statuses = [told(str(ada.id), "--at", str(each.sequence))["state"]["status"] for each in ada.events]

    assert ada.event_types[3:6] == ["wait_started", "paused", "resumed"]
    assert statuses[:6] == ["running", "running", "running", "waiting", "paused", "waiting"]
    assert statuses[-1] == "completed"


def test_what_is_told_at_the_end_is_the_row(ada: Passage) -> None:
    document = told(str(ada.id))

    assert (document["aggregate_type"], document["sequence"]) == ("instance", ada.instance.sequence)
    assert document["last_sequence"] == document["sequence"]
    for name in ("status", "current_nodes", "context", "step_count", "exit_reason", "participant_id", "error"):
        assert document["state"][name] == getattr(ada.instance, name)


def test_a_time_means_what_had_been_recorded_by_then(ada: Passage) -> None:
    def status(**later: float) -> str:
        return str(told(str(ada.id), "--at", (NOON + timedelta(**later)).isoformat())["state"]["status"])

    assert [status(hours=0), status(minutes=59), status(hours=1), status(minutes=119)] == [
        "waiting",
        "waiting",
        "paused",
        "paused",
    ]
    assert [status(hours=2), status(days=99)] == ["waiting", "completed"]


def test_events_are_listed_on_request(ada: Passage) -> None:
    listed = told(str(ada.id), "--at", "3", "--events")["events"]
    assert [(each["sequence"], each["type"]) for each in listed] == list(enumerate(ada.event_types[:3], 1))

    out = io.StringIO()
    call_command("replay", str(ada.id), "--at", "5", "--events", stdout=out)
    first, *rest = out.getvalue().splitlines()
    assert first == f"instance {ada.id} after event 5 of {len(ada.events)} (paused, 2030-01-01 13:00:00):"
    assert "  status: paused" in rest
    assert any("wait_started" in each for each in rest)


@pytest.mark.parametrize("at", ["0", "999", "99999999999999999999999", "-1", "yesterday", "", "1e3", "2030-13-01"])
def test_a_point_that_is_not_there_is_named(ada: Passage, at: str) -> None:
    with pytest.raises(CommandError, match=f"(no event |“){at}") as refused:
        call_command("replay", str(ada.id), f"--at={at}")
    assert refused.value.returncode == 2


def test_a_time_before_the_beginning_is_refused(ada: Passage) -> None:
    with pytest.raises(CommandError, match="Nothing was recorded of it until 2029"):
        call_command("replay", str(ada.id), "--at", "2029-12-31T23:00:00Z")


@pytest.mark.parametrize("key", ["0190aaaa-0000-7000-8000-000000000000", "nobody", ""])
def test_an_unknown_id_is_named(db: None, key: str) -> None:
    with pytest.raises(CommandError, match=f"There is no instance or saga {key}") as refused:
        call_command("replay", key)
    assert refused.value.returncode == 2


def test_a_planted_transition_is_reported_and_not_applied(ada: Passage) -> None:
    tampered(PLANTED, ada.id)
    last = len(ada.events)

    with pytest.raises(CommandError, match=rf"Event {last} \(resumed\).*not applied.*--at {last - 1}") as refused:
        call_command("replay", str(ada.id))

    assert refused.value.returncode == 1
    assert told(str(ada.id), "--at", str(last - 1))["state"]["status"] == "completed"
    assert ada.status == "completed"


@pytest.fixture
def snapshot(ada: Passage) -> Snapshot:
    aggregate = Aggregate(str(ada.flow.tenant_id), str(ada.id), folding.FOLD)
    assert loading.take(aggregate, loading.load(aggregate, upto=5, every=1))
    return Snapshot.objects.get()


def test_a_snapshot_changes_nothing_of_what_is_told(ada: Passage, snapshot: Snapshot) -> None:
    aggregate = replay.find(str(ada.id))
    for at in range(1, len(ada.events) + 1):
        without, with_one = replay.replay(aggregate, at), replay.replay(aggregate, at, with_snapshot=True)
        assert with_one.as_json == without.as_json
        assert folding.dump(with_one.state) == folding.dump(without.state)
    assert snapshot.sequence == 5
