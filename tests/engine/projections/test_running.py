"""A projection is given each event once and in order, whoever runs it and whenever it dies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from signal import SIGKILL
from typing import Any

import pytest
from django.db import transaction

from engine import Projection, ProjectionManager, sweeper, tasks
from engine.bells import Bell
from engine.connections import execute
from engine.errors import InvalidProjection, UnknownProjection
from engine.event_store.events import Event
from engine.models import ProjectionCheckpoint, StoredEvent
from engine.projections import checkpoints, registry, rounds, running
from tests.engine.conftest import FakeClock
from tests.engine.projections.conftest import Witness, wait_until_readable
from tests.support.processes import python, wait_for
from tests.support.races import Meanwhile, at_once

Append = Callable[..., list[str]]
Seen = Callable[..., list[str]]


def test_each_event_is_projected_once_and_in_order(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(120) + append(1)

    assert rounds.run() == 121
    assert rounds.run() == 0
    more = append(3)
    assert ProjectionManager().run_sync("witness") == 3

    assert seen() == ids + more
    live = ProjectionCheckpoint.objects.get()
    assert (live.count, str(live.last_event_id), live.status) == (124, more[-1], "running")


def test_what_is_not_wanted_is_passed_without_being_counted(append: Append, seen: Seen, witness: Witness) -> None:
    append(130, type="other")
    ids = append(2)
    append(70, type="other")

    rounds.run()

    assert seen() == ids
    assert ProjectionCheckpoint.objects.get().count == 2
    assert not rounds.is_behind()


def test_the_checkpoint_and_the_read_model_are_one_transaction(
    append: Append, seen: Seen, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = append(10)

    def die(*_: object, **places: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(checkpoints, "move", die)
        rounds.run()
    assert seen() == []

    rounds.run()
    assert seen() == ids


DIES = """
import os, signal, django
django.setup()
from engine.projections import registry, rounds
from tests.engine.conftest import FakeClock
from tests.engine.projections.conftest import Witness

class Mortal(Witness):
    batches = 0
    def project(self, events):
        super().project(events)
        Mortal.batches += 1
        if Mortal.batches == 3:
            os.kill(os.getpid(), signal.SIGKILL)

registry.register(Mortal)
rounds.run(["witness"])
"""


def test_a_worker_that_is_killed_in_the_middle_of_a_batch_makes_no_event_count_twice(
    append: Append, seen: Seen, witness: Witness, process_environment: dict[str, str]
) -> None:
    ids = append(230)
    environment = process_environment | {"DJANGO_SETTINGS_MODULE": "kalcifer.settings"}

    assert python("-c", DIES, env=environment).returncode == -SIGKILL
    # The server notices the death of its client, and undoes what was not committed.
    wait_for(lambda: running.catch_up(witness, 1) or len(seen()) == len(ids), what="the lock of the dead to be free")
    running.catch_up(witness, 1)

    assert seen() == ids


def test_workers_share_projections_beside_writers_that_commit_in_any_order(
    append: Append, seen: Seen, witness: Witness
) -> None:
    over = threading.Event()

    def write(writer: int) -> None:
        for turn in range(12):
            with transaction.atomic():
                append(3)
                if (writer + turn) % 4 == 0:
                    transaction.set_rollback(True)

    def work() -> None:
        while not over.is_set():
            rounds.run()

    with Meanwhile(work) as one, Meanwhile(work) as two, Meanwhile(work) as three:
        at_once([lambda writer=writer: write(writer) for writer in range(4)])
        over.set()
        for each in (one, two, three):
            each.answer()
    wait_until_readable()
    rounds.run()

    in_order = [str(each) for each in StoredEvent.objects.order_by("tx", "position").values_list("event_id", flat=True)]
    assert len(in_order) == 4 * 12 * 3 * 3 // 4
    assert seen() == in_order


def test_a_projection_that_another_worker_has_in_hand_is_left_to_it(
    append: Append, seen: Seen, witness: Witness
) -> None:
    ids = append(2)
    checkpoints.ensure([witness])
    with transaction.atomic():
        assert checkpoints.take("witness", 1) is not None
        assert at_once([rounds.run]) == [0]

    assert rounds.run() == 2
    assert seen() == ids


def test_a_gap_is_waited_for_and_never_jumped(append: Append, seen: Seen, witness: Witness) -> None:
    written, commit = threading.Event(), threading.Event()
    early: list[str] = []

    def slow() -> None:
        with transaction.atomic():
            early.extend(append(1))
            written.set()
            assert commit.wait(60)

    with Meanwhile(slow) as writer:
        assert written.wait(60)
        with transaction.atomic():
            late = append(1)
        assert rounds.run() == 0
        commit.set()
        writer.answer()
    wait_until_readable()
    rounds.run()

    assert seen() == early + late


def test_who_starts_at_the_head_hears_only_of_what_comes_later(append: Append, seen: Seen, witness: Witness) -> None:
    append(5)
    witness.starts = "head"
    checkpoints.ensure([witness])
    later = append(2)

    rounds.run()

    assert seen() == later


def test_an_idle_system_stays_idle(append: Append, witness: Witness) -> None:
    assert rounds.is_behind()
    append(1)
    rounds.run()
    assert not rounds.is_behind()
    append(1)
    assert rounds.is_behind()

    registry.unregister("witness")
    assert not rounds.is_behind()


def test_a_slice_ends_though_there_is_more(append: Append, seen: Seen, witness: Witness) -> None:
    append(120)

    assert rounds.run(slice_s=0) == witness.batch
    assert rounds.is_behind()


def test_names_are_checked_when_a_projection_is_registered() -> None:
    class Nameless(Projection):
        pass

    class Impostor(Witness):
        pass

    manager = ProjectionManager()
    manager.register(Witness)
    assert manager.register(Witness()) is registry.get("witness")
    for wrong in (Nameless, Impostor):
        with pytest.raises(InvalidProjection):
            manager.register(wrong)
    with pytest.raises(UnknownProjection, match="witness"):
        manager.run_sync("witnes")


def test_the_asynchronous_twins_do_the_same(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(3)
    manager = ProjectionManager()

    assert asyncio.run(manager.run("witness")) == 3
    (status,) = asyncio.run(manager.status("witness"))

    assert (status.state, status.count, status.last_event_id, status.lag_events) == ("running", 3, ids[-1], 0)
    assert seen() == ids


def test_the_lag_says_how_many_and_for_how_long(append: Append, witness: Witness, now: FakeClock) -> None:
    manager = ProjectionManager()
    manager.run_sync()
    append(4)
    now.advance(seconds=30)

    (status,) = manager.status_sync()

    assert (status.lag_events, status.lag_s) == (4, 30.0)


def test_it_runs_on_workers_and_the_sweep_announces_it(
    append: Append, seen: Seen, witness: Witness, rung: list[object]
) -> None:
    ids = append(3)
    sweeper.sweep()
    assert Bell.PROJECT in rung
    tasks.project()
    assert seen() == ids
    rung.clear()
    sweeper.sweep()
    assert Bell.PROJECT not in rung


def test_without_the_broker_the_sweeper_projects_by_itself(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(3)
    sweeper.run_without_broker(1.0)

    assert seen() == ids
    assert execute("SELECT count(*) FROM projection_checkpoints").fetchone() == (1,)


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ({"types": "happened"}, "types is a list"),
        ({"aggregate_types": "thing"}, "aggregate_types is a list"),
        ({"batch": 0}, "a batch has one event"),
        ({"starts": "Head"}, "starts at the beginning or at the head"),
    ],
)
def test_what_would_let_events_pass_unseen_is_not_registered(seen: Seen, mistake: dict[str, Any], told: str) -> None:
    mistaken = type("Mistaken", (Witness,), mistake)

    with pytest.raises(InvalidProjection, match=told):
        registry.register(mistaken)


def test_a_projection_that_nobody_would_await_is_not_registered(seen: Seen) -> None:
    class Awaited(Witness):
        async def project(self, events: Sequence[Event]) -> None:  # type: ignore[override]
            super().project(events)

    with pytest.raises(InvalidProjection, match="synchronous"):
        registry.register(Awaited)
