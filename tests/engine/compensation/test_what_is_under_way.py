"""Nothing is undone while a side effect of the run may still happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from engine import activities, operations, triggers
from engine.compensation import verbs
from engine.leases import Lease
from engine.models import Activity
from engine.nodes.outcomes import Completed, Failed
from flows.models import Flow
from tests.engine.compensation.conftest import NO, make_due, undone, work
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle
from tests.support.soundness import assert_all_sound

META = {"actor": "test", "task_id": ""}

BOTH = {
    "entry": (*ENTRY, {None: ["stock", "courier"]}),
    "stock": ("book", {"what": "stock", "on_failure": "fail"}, {None: "done"}),
    "courier": ("book", {"what": "courier", "on_failure": "fail"}, {None: "done"}),
    "done": ("exit", {}, {}, {"join": "all"}),
}


@pytest.fixture
def both(flow_of: Callable[..., Flow]) -> Flow:
    return flow_of(graph(BOTH, on_failure="compensate"))


def begun(flow: Flow) -> tuple[Passage, dict[str, Lease]]:
    """A run both of whose side effects are in the hands of a worker."""
    ada = Passage(flow, "ada").start()
    return ada, {lease.node_id: lease for lease in activities.take(5, "worker-1")}


def end(lease: Lease, outcome: Any) -> None:
    activities.record([activities.judge(lease, outcome)], META)
    run_until_idle()


def test_a_side_effect_under_way_is_awaited_recorded_and_undone(both: Flow) -> None:
    ada, leases = begun(both)
    end(leases["courier"], NO)
    assert (ada.status, Activity.objects.filter(kind="compensation").count()) == ("failed", 0)

    end(leases["stock"], Completed({"booked": "stock"}))
    assert ada.status == "compensating"
    work()

    assert (ada.status, undone()) == ("compensated", ["stock"])
    assert "activity_completed" in ada.event_types
    assert_all_sound()


def test_one_that_fails_for_good_meanwhile_is_not_undone(both: Flow) -> None:
    ada, leases = begun(both)
    end(leases["courier"], NO)
    end(leases["stock"], NO)
    work()

    assert (ada.status, undone()) == ("compensated", [])
    assert_all_sound()


def test_one_whose_worker_died_is_undone_as_nobody_knows(both: Flow) -> None:
    ada, leases = begun(both)
    end(leases["courier"], NO)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE activities SET lease_until = clock_timestamp() - interval '1 s' WHERE status = 'running'"
        )
    assert activities.reclaim(META) == 1
    work()

    assert (ada.status, undone()) == ("compensated", ["stock"])
    assert Activity.objects.get(node_id="stock", kind="node").status == "cancelled"
    assert_all_sound()


def test_one_that_waits_for_another_attempt_is_never_made(both: Flow) -> None:
    ada, leases = begun(both)
    end(leases["stock"], Failed("busy"))
    end(leases["courier"], NO)
    make_due()
    work()

    assert (ada.status, undone()) == ("compensated", [])
    assert Activity.objects.get(node_id="stock", kind="node").status == "cancelled"
    assert_all_sound()


def test_another_run_that_began_meanwhile_leaves_it_failed(both: Flow) -> None:
    ada, leases = begun(both)
    end(leases["courier"], NO)
    triggers.start(both, "ada")
    end(leases["stock"], Completed({"booked": "stock"}))

    assert (ada.status, undone()) == ("failed", [])
    with pytest.raises(operations.errors.AlreadyInFlow):
        verbs.compensate(ada.id)
    assert_all_sound()


def test_what_a_cancelled_run_had_under_way_has_time_to_end_before_it_is_undone(both: Flow) -> None:
    ada, leases = begun(both)
    operations.cancel(ada.id)

    verbs.compensate(ada.id)
    work()
    assert (ada.status, undone()) == ("compensating", [])
    (due,) = Activity.objects.filter(kind="compensation").values_list("due_at", "created_at")
    assert 25 < (due[0] - due[1]).total_seconds() <= 31
    end(leases["stock"], Completed({"booked": "late"}))
    for _ in range(2):
        make_due()
        work()

    assert (ada.status, sorted(undone())) == ("compensated", ["courier", "stock"])
    assert_all_sound()
