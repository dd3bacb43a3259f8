"""`verify` rebuilds with snapshots and without, in one process or in several, beside live traffic."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from threading import Event as Flag
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from engine import operations, triggers, verify
from engine.connections import execute
from engine.execution import folding
from engine.models import Snapshot
from engine.nodes import registry
from engine.snapshots import folds, loading
from engine.snapshots.folds import Fold
from engine.snapshots.loading import Aggregate
from engine.verify import processes
from tenants.ids import uuid7
from tests.engine.operating import BROKEN, Effect, Fragile, waiting
from tests.engine.test_snapshots import add, append, forged, tampered
from tests.engine.test_verify import tampered as tampered_log
from tests.support.passage import Passage, run_until_idle


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> Iterator[None]:
    BROKEN["is"] = True
    registry.register(Fragile)
    registry.register(Effect)
    with folds.preserved():
        yield


def found(**options: Any) -> list[verify.Difference]:
    return [each for share in verify.verify(**options) for each in share.differences]


def snapshot_of(who: Passage, upto: int | None = None) -> Aggregate:
    """Take a snapshot of a run, as it is or as it was."""
    aggregate = Aggregate(str(who.flow.tenant_id), str(who.id), folding.FOLD)
    loaded = loading.load(aggregate, upto=upto, every=10_000)
    assert loading.take(aggregate, loaded)
    return aggregate


@pytest.fixture
def ada(passage: Callable[..., Passage]) -> Passage:
    return passage(waiting()).start()


def test_a_good_snapshot_is_used_and_told(ada: Passage) -> None:
    snapshot_of(ada, upto=2)
    operations.pause(ada.id)
    operations.cancel(ada.id)

    (share,) = verify.verify()

    assert (share.rebuilt, share.snapshots, share.differences) == ({"instance": 1}, 1, [])


@pytest.mark.parametrize(
    ("harm", "assignments", "detail"),
    [
        (tampered, "state = '{}'", "digest"),
        (forged, "state = '{}'", "decoded"),
        (forged, "state = jsonb_set(state, '{step_count}', '7')", "step_count"),
        (forged, "sequence = 99", "It is of event 99"),
        (forged, "tenant_id = gen_random_uuid()", "another tenant"),
        (forged, "aggregate_type = 'saga'", "It is of a saga"),
    ],
)
def test_a_wrong_snapshot_is_told_and_thrown_away(
    ada: Passage, harm: Callable[[Aggregate, str], None], assignments: str, detail: str
) -> None:
    harm(snapshot_of(ada), assignments)

    (difference,) = found()

    assert (difference.aggregate_id, difference.field) == (str(ada.id), "snapshot")
    assert detail in difference.detail
    assert not Snapshot.objects.exists()
    assert found() == []


def test_both_values_of_a_wrong_snapshot_are_told(ada: Passage) -> None:
    forged(snapshot_of(ada), "state = jsonb_set(state, '{step_count}', '7')")

    (difference,) = found()

    assert (difference.row, difference.events) == ({"step_count": 7}, {"step_count": ada.instance.step_count})


def test_the_snapshot_of_nothing_is_thrown_away(ada: Passage) -> None:
    snapshot_of(ada)
    execute("UPDATE snapshots SET aggregate_id = gen_random_uuid()")

    assert [each.field for each in found()] == ["snapshot"]
    assert not Snapshot.objects.exists()


def test_the_snapshot_of_other_code_is_left_alone(ada: Passage) -> None:
    forged(snapshot_of(ada), "state_version = 99, state = '{}'")

    assert found() == []
    assert Snapshot.objects.count() == 1


def test_aggregates_of_users_own_are_rebuilt_where_their_fold_is_known(ada: Passage) -> None:
    fold = Fold("adder", lambda _: {"sum": 0, "last": 0}, add)
    adder = Aggregate(str(ada.flow.tenant_id), str(uuid7()), fold)
    append(adder, 1, 30)
    loading.load(adder, every=1)
    append(adder, 31, 33)
    (share,) = verify.verify()
    assert (share.unknown, share.rebuilt, share.differences) == ({"adder": 1}, {"instance": 1}, [])

    folds.register(fold)
    (share,) = verify.verify()
    assert (share.unknown, share.rebuilt, share.snapshots, share.differences) == (
        {},
        {"instance": 1, "adder": 1},
        1,
        [],
    )

    forged(adder, 'state = \'{"sum": 1, "last": 30}\'')
    (difference,) = found()
    assert (difference.aggregate_type, difference.row, difference.events) == ("adder", {"sum": 1}, {"sum": 465})


def test_several_processes_find_the_same(passage: Callable[..., Passage]) -> None:
    flow = passage(waiting()).flow
    started = triggers.start_many(flow, [f"p{n}" for n in range(60)])
    run_until_idle()
    wrong = started[7].instance_id
    loading.load(Aggregate(str(flow.tenant_id), str(started[3].instance_id), folding.FOLD), every=1)
    tampered_log("UPDATE flow_instances SET exit_reason = 'else' WHERE id = %s", wrong)
    told = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("verify", "--json", "--jobs", "1", stdout=told)
    alone = json.loads(told.getvalue())

    shares = list(verify.verify(batch=1, jobs=2))

    # So many that processes pay, and that each has some.
    assert len(shares) > processes.ALONE
    assert sum(each.count for each in shares) == alone["checked"] == 60
    assert sum(each.snapshots for each in shares) == alone["snapshots"] == 1
    assert [each.aggregate_id for share in shares for each in share.differences] == [str(wrong)]
    assert alone["found"] == 1


def test_live_traffic_makes_no_false_alarm(passage: Callable[..., Passage]) -> None:
    flow = passage(waiting()).flow
    people = [Passage(flow, f"p{n}").start() for n in range(6)]
    stop = Flag()

    def go_on_and_off() -> int:
        turns = 0
        while not stop.is_set():
            for who in people:
                operations.pause(who.id)
                operations.resume(who.id)
                snapshot_of(who)
            turns += 1
        connection.close()
        return turns

    with ThreadPoolExecutor(1) as thread:
        turns = thread.submit(go_on_and_off)
        try:
            told = [found(batch=batch) for _ in range(8) for batch in (1, 20, 10_000)]
        finally:
            stop.set()
        assert turns.result(30) > 0
    assert [each for differences in told for each in differences] == []


class AtOnce(Executor):
    """Has done everything that it was given by the time that anybody asks."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def test_processes_that_end_all_at_once_leave_nothing_unchecked() -> None:
    shares = iter(range(10))
    first = [next(shares) for _ in range(3)]

    checked = processes._in_turn(AtOnce(), first, shares, lambda share: share, 4)  # type: ignore[arg-type,return-value]

    assert sorted(checked) == list(range(10))  # type: ignore[type-var]
