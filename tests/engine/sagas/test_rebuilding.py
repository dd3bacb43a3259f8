"""Sagas are what their events say: verified, replayed, and kept in snapshots like every other aggregate."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command

from engine import replay, verify
from engine.models import Snapshot
from engine.sagas import folding
from engine.snapshots import loading
from engine.snapshots.loading import Aggregate
from tenants.models import Tenant
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, step, work
from tests.engine.test_verify import tampered

PLANTED = """
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, data, metadata,
                               recorded_at, tx)
    SELECT gen_random_uuid(), tenant_id, aggregate_type, aggregate_id, sequence + 1, 'saga_completed', '{}',
           metadata, recorded_at, tx
      FROM stored_events WHERE aggregate_id = %s ORDER BY sequence DESC LIMIT 1
"""


@pytest.fixture
def order(begin: Callable[..., Followed]) -> Followed:
    """An order whose third step fails for good: everything is undone."""
    order = begin(step("stock"), step("card", after=["stock"]), step("courier", action=calls.decline, after=["card"]))
    work()
    assert order.state == "COMPENSATED"
    return order


def differences() -> list[verify.Difference]:
    return [each for share in verify.verify() for each in share.differences]


def aggregate(order: Followed) -> Aggregate:
    return Aggregate(str(order.tenant.pk), str(order.row.pk), folding.FOLD)


def test_a_saga_is_what_its_events_say(order: Followed, begin: Callable[..., Followed]) -> None:
    begin(step("one"), name="order-2")
    work()
    begin(step("one"), name="order-3")

    (share,) = verify.verify()

    assert (share.rebuilt, share.differences) == ({"saga": 3}, [])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("steps", "jsonb_set(steps, '{0,state}', '\"failed\"')"),
        ("plan", "'[]'"),
        ("definition", "'else'"),
        ("ending", "NULL"),
        ("started_at", "now()"),
        ("sequence", "99"),
    ],
)
def test_a_row_that_was_changed_is_found(order: Followed, column: str, value: str) -> None:
    tampered(f"UPDATE saga_runs SET {column} = {value}")

    (found,) = differences()

    assert (found.aggregate_type, found.aggregate_id, found.field) == ("saga", str(order.row.pk), column)
    assert found.row != found.events


def test_marks_and_leases_are_left_out(order: Followed) -> None:
    tampered("UPDATE saga_runs SET runnable = true, deaths = 2, log_tx = 1")

    assert differences() == []


def test_a_planted_transition_is_told_and_not_applied(order: Followed) -> None:
    last = len(order.events)
    tampered(PLANTED, order.row.pk)

    (found,) = differences()
    assert (found.field, "saga_completed" in found.detail) == ("illegal_event", True)
    with pytest.raises(CommandError, match=rf"Event {last + 1} \(saga_completed\).*not applied"):
        call_command("replay", "order-1")
    assert order.state == "COMPENSATED"


def test_a_saga_is_replayed_by_its_name(order: Followed, other_tenant: Tenant, begin: Callable[..., Followed]) -> None:
    def at(sequence: int, *more: str) -> dict[str, Any]:
        out = io.StringIO()
        call_command("replay", "order-1", "--json", f"--at={sequence}", *more, stdout=out)
        found: dict[str, Any] = json.loads(out.getvalue())
        return found

    told = [at(n)["state"]["status"] for n in range(1, len(order.events) + 1)]
    assert (told[0], told[-1]) == ("PENDING", "COMPENSATED")
    assert [each for n, each in enumerate(told) if not n or told[n - 1] != each] == [
        "PENDING",
        "RUNNING",
        "COMPENSATING",
        "COMPENSATED",
    ]

    begin(step("one"), of=other_tenant)
    with pytest.raises(CommandError, match="Several tenants have a saga order-1"):
        at(1)
    assert at(1, "--tenant", other_tenant.name)["tenant_id"] == str(other_tenant.pk)


def test_from_a_snapshot_at_any_point_it_is_the_same(order: Followed) -> None:
    of = aggregate(order)
    whole = folding.dump(loading.fold(of, of.events()).state)
    for cut in range(1, len(order.events) + 1):
        Snapshot.objects.all().delete()
        assert loading.take(of, loading.load(of, upto=cut, every=1000))

        loaded = loading.load(of, every=1000)

        assert (loaded.snapshot, folding.dump(loaded.state)) == (cut, whole)
        assert [(share.snapshots, share.differences) for share in verify.verify()] == [(1, [])]


def test_a_state_comes_back_from_json_as_it_was(order: Followed) -> None:
    state = replay.replay(replay.find("order-1")).state

    assert folding.load(orjson.loads(orjson.dumps(folding.dump(state), option=orjson.OPT_SORT_KEYS))) == state
