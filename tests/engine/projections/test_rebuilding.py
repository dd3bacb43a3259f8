"""A rebuild beside live traffic: the same read model at the same place, taken by readers in one moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from signal import SIGKILL
from typing import Any

import pytest
from django.db import transaction

from engine import Projection, ProjectionManager
from engine.connections import execute
from engine.errors import NotRebuildable, ProjectionStopped
from engine.event_store.events import Event
from engine.models import ProjectionCheckpoint, ProjectionSkip
from engine.projections import checkpoints, rebuilding, registry, rounds
from tests.engine.projections.conftest import MENDED, Witness, wait_until_readable
from tests.support.processes import python
from tests.support.races import Meanwhile, at_once

Append = Callable[..., list[str]]
Seen = Callable[..., list[str]]

BUILDS = "SELECT DISTINCT build FROM witnessed WHERE name = 'witness' ORDER BY build"


def builds() -> list[int]:
    return [row[0] for row in execute(BUILDS)]


def live() -> Any:
    return ProjectionCheckpoint.objects.get(is_live=True)


def test_it_gives_the_same_at_the_same_place(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(130) + append(3, type="other")
    rounds.run()
    before = live()

    status = ProjectionManager().rebuild_sync("witness")

    after = live()
    assert (after.build, status.build, status.is_live) == (2, 2, True)
    assert [getattr(after, name) for name in ("tx", "position", "count", "last_event_id", "last_event_at")] == [
        getattr(before, name) for name in ("tx", "position", "count", "last_event_id", "last_event_at")
    ]
    assert seen() == ids[:130]
    # Old rows and their checkpoint are gone.
    assert builds() == [2]
    assert ProjectionCheckpoint.objects.count() == 1


def test_readers_have_the_old_rows_until_the_new_ones_have_caught_up(
    append: Append, seen: Seen, witness: Witness
) -> None:
    ids = append(120)
    rounds.run()

    build = rebuilding.request(witness)
    rebuilding.carry_on(witness, build, until=0)
    assert seen() == ids
    assert seen(build=build) == ids[:50]
    assert live().build == 1
    rounds.run()

    assert live().build == build
    assert seen() == ids


def test_it_runs_beside_writers_and_workers(append: Append, seen: Seen, witness: Witness) -> None:
    rounds.run()
    over = threading.Event()
    seen_by_readers: list[list[str]] = []

    def work() -> None:
        while not over.is_set():
            rounds.run()

    def read() -> None:
        while not over.is_set():
            seen_by_readers.append(seen())

    def write() -> list[str]:
        return [each for _ in range(60) for each in append(2)]

    def rebuild() -> list[str]:
        ProjectionManager().rebuild_sync("witness")
        return []

    with Meanwhile(work) as worker, Meanwhile(read) as reader:
        ids = at_once([write, rebuild])[0]
        ProjectionManager().rebuild_sync("witness")
        over.set()
        worker.answer()
        reader.answer()
    wait_until_readable()
    rounds.run()

    assert seen() == ids
    assert len(builds()) == 1
    # No reader ever saw less than before, nor anything else than the log's beginning.
    assert all(found == ids[: len(found)] for found in seen_by_readers)
    lengths = [len(found) for found in seen_by_readers]
    assert lengths == sorted(lengths)


def test_a_log_that_never_stands_still_does_not_keep_it_from_readers(append: Append, witness: Witness) -> None:
    class Busy(Witness):
        def project(self, events: Sequence[Event]) -> None:
            super().project(events)
            with transaction.atomic():
                append()

    append(3)
    registry.unregister("witness")
    registry.register(Busy)
    rounds.run(slice_s=0.01)

    build = rebuilding.request(Busy())
    rebuilding.carry_on(Busy(), build, until=time.monotonic() + 0.3)

    assert live().build == build


DIES = """
import os, signal, django
django.setup()
from engine import ProjectionManager
from engine.projections import checkpoints, registry
from tests.engine.projections.conftest import Witness

class Mortal(Witness):
    batches = 0
    def project(self, events):
        super().project(events)
        Mortal.batches += 1
        if Mortal.batches == int(os.environ["DIES_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)
    def clear(self):
        super().clear()
        if self.build == int(os.environ["DIES_CLEARING"]):
            os.kill(os.getpid(), signal.SIGKILL)

registry.register(Mortal)
ProjectionManager().rebuild_sync("witness")
"""


@pytest.mark.parametrize(("batches", "clearing"), [("2", "0"), ("99", "2"), ("99", "1")])
def test_a_rebuild_that_was_killed_can_be_started_again(
    append: Append, seen: Seen, witness: Witness, process_environment: dict[str, str], batches: str, clearing: str
) -> None:
    ids = append(130)
    rounds.run()
    dies = {"DIES_AT": batches, "DIES_CLEARING": clearing, "DJANGO_SETTINGS_MODULE": "kalcifer.settings"}

    assert python("-c", DIES, env=process_environment | dies).returncode == -SIGKILL
    assert seen() == ids
    more = append(5)
    ProjectionManager().rebuild_sync("witness")

    assert seen() == ids + more
    assert len(builds()) == 1
    assert live().build > 1


def test_workers_carry_on_what_was_asked_for(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(130)
    rounds.run()
    manager = ProjectionManager()

    assert manager.request_rebuild_sync("witness") == manager.request_rebuild_sync("witness") == 2
    assert rounds.is_behind()
    while rounds.is_behind():
        rounds.run()

    assert (live().build, builds()) == (2, [2])
    assert seen() == ids


def test_two_rebuilds_at_once_are_one(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(300)
    rounds.run()

    at_once([lambda: ProjectionManager().rebuild_sync("witness")] * 2)

    assert seen() == ids
    assert len(builds()) == 1


def test_an_event_that_stops_a_rebuild_leaves_readers_what_they_had(
    append: Append, seen: Seen, witness: Witness
) -> None:
    ids = append(60) + append(poison=True) + append(5)
    MENDED.add(ids[60])
    rounds.run()
    MENDED.clear()
    manager = ProjectionManager()

    with pytest.raises(ProjectionStopped, match=ids[60]):
        manager.rebuild_sync("witness")
    assert (seen(), live().build, live().status) == (ids, 1, "running")
    more = append(1)
    rounds.run()
    assert seen() == ids + more

    manager.skip_sync("witness", "broken", "user:ada")
    manager.rebuild_sync("witness")
    assert seen() == ids[:60] + ids[61:] + more


def test_what_an_operator_passed_over_is_passed_over_again_where_it_still_fails(
    append: Append, seen: Seen, witness: Witness
) -> None:
    ids = append(3) + append(2, poison=True) + append(3)
    manager = ProjectionManager()
    for _ in range(2):
        rounds.run()
        manager.skip_sync("witness", "a test order", "user:ada")
    MENDED.add(ids[3])

    manager.rebuild_sync("witness")

    assert seen() == ids[:4] + ids[5:]
    again = ProjectionSkip.objects.get(build=2)
    assert (str(again.event_id), again.reason, again.actor) == (ids[4], "a test order", "user:ada")


class Simple(Projection):
    """As short as a projection can be: it knows nothing of builds."""

    name = "simple"
    types = ("happened",)

    def project(self, events: Sequence[Event]) -> None:
        execute(
            "INSERT INTO witnessed (name, build, event_id) SELECT 'simple', 1, unnest(%s::uuid[])",
            [[event.event_id for event in events]],
        )

    def clear(self) -> None:
        execute("DELETE FROM witnessed WHERE name = 'simple'")


def test_one_without_builds_is_emptied_and_fills_up_again(append: Append, seen: Seen) -> None:
    registry.register(Simple)
    ids = append(5)
    rounds.run()

    status = ProjectionManager().rebuild_sync("simple")

    assert seen("simple") == ids
    assert (status.build, status.count, status.lag_events) == (1, 5, 0)


def test_it_is_over_when_readers_have_all_also_where_a_worker_has_it_in_hand(append: Append, seen: Seen) -> None:
    over, begun, workers = threading.Event(), threading.Event(), ExitStack()

    class Shared(Simple):
        def project(self, events: Sequence[Event]) -> None:
            if threading.current_thread() is not threading.main_thread():
                begun.set()
                assert over.wait(60)
            super().project(events)

        def clear(self) -> None:
            super().clear()
            transaction.on_commit(self.let_a_worker_take_it)

        @staticmethod
        def let_a_worker_take_it() -> None:
            workers.enter_context(Meanwhile(rounds.run))
            assert begun.wait(60)

    registry.register(Shared)
    ids = append(5)
    rounds.run()

    with workers:
        for _ in ProjectionManager().rebuild_stepwise("simple"):
            found = seen("simple")
            over.set()

    assert found == ids


def test_one_that_cannot_be_emptied_is_not_rebuilt(append: Append, seen: Seen) -> None:
    class Endless(Simple):
        def clear(self) -> None:
            Projection.clear(self)

    registry.register(Endless)
    ids = append(2)
    rounds.run()

    with pytest.raises(NotRebuildable, match="simple"):
        ProjectionManager().rebuild_sync("simple")
    assert seen("simple") == ids
    assert checkpoints.of(["simple"])[0].count == 2
