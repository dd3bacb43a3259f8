"""A snapshot saves time and nothing else: whatever is wrong with one is found, and the log is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import connection, transaction

from engine.connections import execute
from engine.event_store.events import Event
from engine.models import Snapshot, StoredEvent
from engine.snapshots import counts, folds, loading, store
from engine.snapshots.folds import Fold
from engine.snapshots.loading import Aggregate
from tenants.ids import uuid7
from tenants.models import Tenant

APPEND = """
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata,
                               recorded_at, tx)
    SELECT gen_random_uuid(), %(tenant)s, %(type)s, %(id)s, n, 'added', jsonb_build_object('n', n), '{}', now(),
           pg_current_xact_id()::text::bigint
      FROM generate_series(%(first)s::int, %(last)s::int) AS n
"""


def add(state: dict[str, Any], event: Event) -> dict[str, Any]:
    if event.type != "added":
        raise ValueError(f"no {event.type} here")
    return {"sum": state["sum"] + event.data["n"], "last": event.sequence}


ADDER = Fold("adder", lambda _: {"sum": 0, "last": 0}, add)


@pytest.fixture(autouse=True)
def own_folds() -> Iterator[None]:
    with folds.preserved():
        folds.register(ADDER)
        yield


@pytest.fixture
def adder(tenant: Tenant) -> Aggregate:
    return Aggregate(str(tenant.pk), str(uuid7()), ADDER)


def append(of: Aggregate, first: int, last: int) -> None:
    given = {"tenant": of.tenant_id, "type": of.fold.aggregate_type, "id": of.id, "first": first, "last": last}
    execute(APPEND, given)


def load(of: Aggregate, *, every: int = 1000, upto: int | None = None) -> loading.Loaded:
    return loading.load(of, every=every, upto=upto)


def kept(of: Aggregate) -> Snapshot | None:
    return Snapshot.objects.filter(pk=of.id).first()


def tampered(of: Aggregate, assignments: str) -> None:
    """Change the row and leave its digest, as a careless hand would."""
    execute(f"UPDATE snapshots SET {assignments} WHERE aggregate_id = %s", [of.id])


def forged(of: Aggregate, assignments: str) -> None:
    """Change the row and its digest, as wrong code would."""
    tampered(of, assignments)
    digest = store.DIGEST.format("snapshots")
    execute(f"UPDATE snapshots SET digest = {digest} WHERE aggregate_id = %s", [of.id])


def state_of(last: int) -> dict[str, int]:
    return {"sum": last * (last + 1) // 2, "last": last}


def test_a_load_reads_the_snapshot_and_the_tail_alone(adder: Aggregate) -> None:
    append(adder, 1, 50)
    assert load(adder, every=50) == loading.Loaded(state_of(50), 50, snapshot=0, events=50)
    append(adder, 51, 57)

    assert load(adder) == loading.Loaded(state_of(57), 57, snapshot=50, events=7)


def test_a_snapshot_is_taken_every_so_many_events(adder: Aggregate) -> None:
    append(adder, 1, 9)
    load(adder, every=10)
    assert kept(adder) is None
    append(adder, 10, 10)
    load(adder, every=10)
    append(adder, 11, 19)
    load(adder, every=10)
    assert kept(adder).sequence == 10
    append(adder, 20, 20)
    load(adder, every=10)
    assert kept(adder).sequence == 20


def test_what_was_is_told_whatever_the_snapshot_says_of_today(adder: Aggregate) -> None:
    append(adder, 1, 30)
    load(adder, every=1)
    append(adder, 31, 40)

    assert [load(adder, upto=at).state for at in (1, 29, 30, 31, 40, 99)] == [
        state_of(at) for at in (1, 29, 30, 31, 40, 40)
    ]
    assert load(adder, upto=35).snapshot == 30
    assert load(adder, upto=29).snapshot == 0
    assert kept(adder).sequence == 30


def test_an_aggregate_without_events_is_at_its_beginning(adder: Aggregate) -> None:
    assert load(adder, every=1) == loading.Loaded({"sum": 0, "last": 0}, 0)
    assert kept(adder) is None


@pytest.mark.parametrize(
    ("harm", "assignments", "reason"),
    [
        (tampered, 'state = \'{"sum": 1, "last": 20}\'', loading.DIGEST),
        (tampered, "sequence = 19", loading.DIGEST),
        (tampered, "state_version = 9", loading.DIGEST),
        (tampered, "digest = ''", loading.DIGEST),
        (tampered, "tenant_id = gen_random_uuid()", loading.DIGEST),
        (forged, "tenant_id = gen_random_uuid()", loading.IDENTITY),
        (forged, "aggregate_type = 'else'", loading.IDENTITY),
        (forged, "sequence = 21", loading.BEYOND),
        (forged, "sequence = 0", loading.BEYOND),
        (forged, "state = '[]'", loading.STATE),
        (forged, "state_version = 0", loading.VERSION),
    ],
)
def test_a_wrong_snapshot_is_thrown_away_and_replaced_from_the_log(
    adder: Aggregate, harm: Callable[[Aggregate, str], None], assignments: str, reason: str
) -> None:
    append(adder, 1, 20)
    load(adder, every=1)
    harm(adder, assignments)
    if reason == loading.STATE:
        append(adder, 21, 21)
    last = StoredEvent.objects.filter(aggregate_id=adder.id).count()
    before = counts.so_far().get(f"thrown_away_{reason}", 0)

    assert load(adder).state == state_of(last)

    assert counts.so_far()[f"thrown_away_{reason}"] == before + 1
    assert (kept(adder).sequence, kept(adder).state) == (last, state_of(last))
    assert load(adder) == loading.Loaded(state_of(last), last, snapshot=last, events=0)


def test_a_snapshot_that_cannot_be_decoded_is_replaced(adder: Aggregate) -> None:
    def strict(found: Any) -> Any:
        return {"sum": found["sum"], "last": found["last"]}

    of = Aggregate(adder.tenant_id, adder.id, Fold("adder", ADDER.initial, add, load=strict))
    append(of, 1, 3)
    load(of, every=1)
    forged(of, "state = '{}'")

    assert load(of).state == state_of(3)
    assert kept(of).state == state_of(3)


def test_a_plausible_lie_is_found_by_comparing_with_the_log(adder: Aggregate) -> None:
    append(adder, 1, 20)
    load(adder, every=1)
    assert loading.verify(adder) is None
    forged(adder, 'state = \'{"sum": 1, "last": 20}\'')

    assert loading.verify(adder) == loading.STATE
    assert kept(adder).state == state_of(20)
    assert loading.verify(adder) is None


def test_the_snapshot_of_newer_code_is_neither_used_nor_harmed(adder: Aggregate) -> None:
    newer = Aggregate(adder.tenant_id, adder.id, Fold("adder", ADDER.initial, add, version=2))
    append(adder, 1, 20)
    load(newer, every=1)
    append(adder, 21, 22)

    assert load(adder, every=1) == loading.Loaded(state_of(22), 22, snapshot=0, events=22)
    assert (kept(adder).state_version, kept(adder).sequence) == (2, 20)


def test_nobody_goes_back(adder: Aggregate) -> None:
    append(adder, 1, 20)
    newest, oldest = load(adder), load(adder, upto=10)

    assert loading.take(adder, newest)
    assert not loading.take(adder, oldest)
    assert not loading.take(adder, newest)
    assert kept(adder).sequence == 20


def test_another_tenants_aggregate_is_not_there_and_its_snapshot_stays(adder: Aggregate, other_tenant: Tenant) -> None:
    append(adder, 1, 20)
    load(adder, every=1)
    theirs = Aggregate(str(other_tenant.pk), adder.id, ADDER)

    assert load(theirs, every=1).sequence == 0
    assert loading.verify(theirs) is None
    assert kept(adder).tenant_id == adder_tenant(adder)


def adder_tenant(of: Aggregate) -> Any:
    return Tenant.objects.get(pk=of.tenant_id).pk


def test_a_planted_event_is_reported_and_not_applied(adder: Aggregate) -> None:
    append(adder, 1, 20)
    execute(
        "INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata,"
        " recorded_at, tx) SELECT gen_random_uuid(), tenant_id, aggregate_type, aggregate_id, 21, 'exploded', data,"
        " metadata, recorded_at, tx FROM stored_events WHERE aggregate_id = %s AND sequence = 20",
        [adder.id],
    )
    with pytest.raises(loading.errors.UnreadableLog, match="exploded") as told:
        load(adder, every=1)
    assert told.value.sequence == 21
    assert kept(adder) is None


def test_a_gap_is_reported(adder: Aggregate) -> None:
    append(adder, 1, 5)
    append(adder, 7, 9)
    with pytest.raises(loading.errors.UnreadableLog, match="Event 7") as told:
        load(adder)
    assert told.value.sequence == 7


@pytest.mark.parametrize("state", [float("nan"), (1, 2), {1: 2}, 2**70, {"text": "\x00"}, object()])
def test_a_state_that_is_no_json_is_loaded_from_the_log_every_time(adder: Aggregate, state: Any) -> None:
    of = Aggregate(adder.tenant_id, adder.id, Fold("adder", lambda _: None, lambda *_: state))
    append(of, 1, 3)

    assert load(of, every=1).state is state
    assert kept(of) is None


def test_in_a_transaction_that_may_only_read_a_load_still_loads(adder: Aggregate) -> None:
    append(adder, 1, 3)
    with transaction.atomic():
        execute("SET TRANSACTION READ ONLY")
        assert load(adder, every=1).state == state_of(3)
        assert load(adder, every=1).sequence == 3
    assert kept(adder) is None


def test_what_is_rolled_back_leaves_no_snapshot(adder: Aggregate) -> None:
    append(adder, 1, 3)
    with transaction.atomic():
        append(adder, 4, 9)
        assert load(adder, every=1).sequence == 9
        assert kept(adder).sequence == 9
        transaction.set_rollback(True)

    assert load(adder) == loading.Loaded(state_of(3), 3, events=3)


def test_numbers_come_back_as_they_were(adder: Aggregate) -> None:
    numbers = [1e16, 1e-7, 0.1 + 0.2, 1e300, -1.5e-300, 2**63, 2.0, -(2**62)]
    of = Aggregate(adder.tenant_id, adder.id, Fold("adder", lambda _: None, lambda *_: list(numbers)))
    append(of, 1, 2)
    load(of, every=1)

    assert load(of).snapshot == 2
    assert load(of).state == numbers
    assert loading.verify(of) is None


def test_the_digest_is_the_databases_own(adder: Aggregate) -> None:
    append(adder, 1, 3)
    load(adder, every=1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT state::text FROM snapshots")
        (text,) = cursor.fetchone()
    assert orjson.loads(text) == state_of(3)
    assert len(kept(adder).digest) == 64
    assert kept(adder).taken_at == datetime(2030, 1, 1, 12, tzinfo=UTC)
