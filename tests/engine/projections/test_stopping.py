"""An event that cannot be projected stops its own projection, at exactly that event, until somebody decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from engine import ProjectionManager
from engine.connections import execute
from engine.errors import ProjectionNotStopped, UnknownProjection
from engine.event_store.events import Event
from engine.event_store.upcasters import register_upcaster, unregister_upcaster
from engine.models import ProjectionCheckpoint, ProjectionSkip, StoredEvent
from engine.projections import registry, rounds, running
from engine.projections.lag import ProjectionStatus
from tests.engine.projections.conftest import MENDED, Witness
from tests.support import processes
from tests.support.races import at_once

Append = Callable[..., list[str]]
Seen = Callable[..., list[str]]

COME_DUE = "UPDATE projection_checkpoints SET retry_at = clock_timestamp() WHERE name = %s"


def status(name: str = "witness") -> ProjectionStatus:
    (found,) = ProjectionManager().status_sync(name)
    return found


@pytest.mark.parametrize("before", [0, 1, 24, 25, 49, 50, 73])
def test_what_came_before_it_is_projected_once_and_nothing_after(
    append: Append, seen: Seen, witness: Witness, before: int
) -> None:
    innocent = append(before) if before else []
    (culprit,) = append(poison=True)
    append(60)

    rounds.run()
    rounds.run()

    stopped = status()
    row = StoredEvent.objects.get(event_id=culprit)
    assert seen() == innocent
    assert (stopped.state, stopped.count, stopped.attempts) == ("failed", before, 1)
    assert stopped.error is not None
    told = {
        "event_id": culprit,
        "tx": row.tx,
        "position": row.position,
        "type": "happened",
        "code": "builtins.ValueError",
    }
    assert told.items() <= stopped.error.items()
    assert stopped.error["detail"] == f"{culprit} is poison"


def test_other_projections_go_on(append: Append, seen: Seen, witness: Witness) -> None:
    class Robust(Witness):
        name = "robust"

        def project(self, events: Sequence[Event]) -> None:
            super().project([Event("happened", event_id=each.event_id) for each in events])

    registry.register(Robust)
    ids = append(3) + append(poison=True) + append(3)

    rounds.run()

    assert seen("robust") == ids
    assert seen("witness") == ids[:3]


def test_it_is_tried_again_later_and_later(append: Append, seen: Seen, witness: Witness) -> None:
    append(poison=True)
    pauses = []
    for attempt in range(1, 5):
        rounds.run()
        assert not rounds.is_behind()
        live = ProjectionCheckpoint.objects.get()
        assert live.attempts == attempt
        assert live.retry_at is not None
        pauses.append(round((live.retry_at - live.updated_at).total_seconds()))
        execute(COME_DUE, ["witness"])
        assert rounds.is_behind()

    assert pauses == [1, 2, 4, 8]


def test_a_retry_that_succeeds_goes_on(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(3) + append(poison=True) + append(80)
    rounds.run()
    MENDED.add(ids[3])

    ProjectionManager().retry_sync("witness")
    rounds.run()

    assert seen() == ids
    healthy = status()
    assert (healthy.state, healthy.error, healthy.attempts, healthy.retry_at) == ("running", None, 0, None)


def test_an_operator_passes_over_it_with_a_record(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(3) + append(poison=True) + append(80)
    rounds.run()

    ProjectionManager().skip_sync("witness", "a test order", "user:ada")
    rounds.run()

    assert seen() == ids[:3] + ids[4:]
    assert status().count == len(ids) - 1
    record = ProjectionSkip.objects.get()
    assert (record.name, record.build, record.reason, record.actor) == ("witness", 1, "a test order", "user:ada")
    assert (str(record.event_id), record.error["detail"]) == (ids[3], f"{ids[3]} is poison")


def test_two_culprits_are_two_decisions(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(3) + append(2, poison=True) + append(3)
    manager = ProjectionManager()
    for _ in range(2):
        rounds.run()
        manager.skip_sync("witness", "", "user:ada")
    rounds.run()

    assert seen() == ids[:3] + ids[5:]
    assert [str(each.event_id) for each in ProjectionSkip.objects.order_by("position")] == ids[3:5]


def test_what_has_not_stopped_is_neither_retried_nor_skipped(append: Append, witness: Witness) -> None:
    append(1)
    rounds.run()
    manager = ProjectionManager()

    with pytest.raises(ProjectionNotStopped):
        manager.skip_sync("witness", "", "user:ada")
    with pytest.raises(ProjectionNotStopped):
        manager.retry_sync("witness")
    with pytest.raises(UnknownProjection):
        manager.retry_sync("nobody")
    assert not ProjectionSkip.objects.exists()


def test_trouble_that_passes_by_itself_stops_nothing(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(60)
    failures = iter([True, True])

    class Moody(Witness):
        name = "moody"

        def project(self, events: Sequence[Event]) -> None:
            if next(failures, False):
                raise ConnectionError("not now")
            super().project(events)

    registry.register(Moody)
    rounds.run()

    assert seen("moody") == ids
    assert status("moody").state == "running"


def test_an_event_is_not_blamed_for_its_neighbour_that_another_worker_got_past(
    append: Append, seen: Seen, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = append(poison=True) + append(3)
    stop = running._stop

    def too_late(*args: object) -> bool:
        monkeypatch.setattr(running, "_stop", stop)
        MENDED.add(ids[0])
        witness.batch = 1
        at_once([lambda: rounds.run(slice_s=0)])
        return stop(*args)

    monkeypatch.setattr(running, "_stop", too_late)
    rounds.run()

    assert seen() == ids
    assert (status().state, status().count) == ("running", 4)


def test_an_sql_error_and_a_strange_text_are_told_too(append: Append, seen: Seen, witness: Witness) -> None:
    class Clumsy(Witness):
        name = "clumsy"

        def project(self, events: Sequence[Event]) -> None:
            super().project(events)
            execute("SELECT 1/0")

    class Rude(Witness):
        name = "rude"

        def project(self, events: Sequence[Event]) -> None:
            raise RuntimeError("NUL \0 and \ud800")

    registry.register(Clumsy)
    registry.register(Rude)
    append(3)
    rounds.run()

    assert seen("clumsy") == []
    clumsy, rude = status("clumsy").error, status("rude").error
    assert clumsy is not None
    assert rude is not None
    assert clumsy["code"] == "django.db.utils.DataError"
    assert rude["detail"] == "NUL � and ?"


def test_an_event_that_cannot_be_read_stops_it_as_well(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(3)
    old = append(1, type="renamed")
    witness.types = ("happened", "renamed")
    register_upcaster("renamed", 1, lambda data: data["missing"])
    try:
        rounds.run()
        assert seen() == ids
        stopped = status().error
        assert stopped is not None
        assert stopped["event_id"] == old[0]
        ProjectionManager().skip_sync("witness", "", "user:ada")
    finally:
        unregister_upcaster("renamed", 1)
    assert rounds.run() == 0


# Processes that project one after the other, until one lives on.
GENERATIONS = """
import os, signal, django
django.setup()
from engine.execution import claim
from engine.projections import registry, rounds
from tests.engine.projections.conftest import Witness

class Mortal(Witness):
    def project(self, events):
        super().project(events)
        if any(event.data.get("deadly") for event in events):
            os.kill(os.getpid(), signal.SIGKILL)

for name in registry.names():
    registry.unregister(name)
registry.register(Mortal())
for generation in range(10):
    child = os.fork()
    if not child:
        claim.bury_the_dead()
        rounds.run()
        os._exit(0)
    if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        break
print(generation)
"""


def test_an_event_that_kills_whoever_projects_it_is_left_for_an_operator(
    append: Append, seen: Seen, witness: Witness, process_environment: dict[str, str]
) -> None:
    before, (deadly,), after = append(3), append(deadly=True), append(3)

    def deaths() -> int:
        settings = {"DJANGO_SETTINGS_MODULE": "kalcifer.settings"}
        told = processes.python("-c", GENERATIONS, env=process_environment | settings)
        assert told.stdout.strip().isdecimal(), told.stderr
        return int(told.stdout)

    # Once in a batch, and alone until it is known to be the one.
    assert deaths() == 4
    stopped = status()
    assert stopped.error is not None
    assert (stopped.state, stopped.error["event_id"]) == ("failed", deadly)
    assert stopped.error["detail"] == "3 worker processes died in a row at this event."
    assert seen() == before
    execute(COME_DUE, ["witness"])
    assert not rounds.is_behind()

    ProjectionManager().retry_sync("witness")
    assert deaths() == 3
    ProjectionManager().skip_sync("witness", "deadly", "user:ada")
    assert deaths() == 0
    assert seen() == before + after
    assert status().state == "running"
