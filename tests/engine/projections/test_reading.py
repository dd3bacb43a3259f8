"""The log of all aggregates: one order, by its index, from any place."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import transaction

from engine.connections import execute
from engine.event_store import reading
from tests.engine.projections.conftest import wait_until_readable
from tests.engine.test_claim_plans import troubles

FLOOD = """
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, schema_version, data,
                               metadata, recorded_at, tx)
    SELECT gen_random_uuid(), gen_random_uuid(), 'thing', gen_random_uuid(), 1, 'happened', 1, '{}', '{}', now(), i / 7
      FROM generate_series(1, 30000) i
"""
STATEMENTS = {"after": reading.READ_AFTER, "stretch": reading.READ_STRETCH, "head": reading.HEAD}


def test_a_place_is_read_from_only_once(append: Callable[..., list[str]]) -> None:
    ids = append(7)

    first = reading.read_after(*reading.START, limit=3)
    rest = reading.read_after(first[-1].tx, first[-1].position, limit=100)

    assert [event.event_id for event in first + rest] == ids
    assert reading.head() == (rest[-1].tx, rest[-1].position)
    assert reading.read_after(*reading.head(), limit=1) == []


def test_only_what_was_asked_for_is_given(append: Callable[..., list[str]]) -> None:
    other = uuid4()
    plain, typed, kind, theirs = append(2), append(1, type="ended"), append(1, kind="other"), append(1, tenant=other)

    def ids(**wanted: object) -> list[str]:
        return [event.event_id for event in reading.read_after(0, 0, limit=10, **wanted)]  # type: ignore[arg-type]

    assert ids() == plain + typed + kind + theirs
    assert ids(types=["ended"]) == typed
    assert ids(types=["ended", "happened"], aggregate_types=["other"]) == kind
    assert ids(tenant_id=str(other)) == theirs
    assert ids(types=["never"]) == []


def test_a_stretch_ends_where_it_ends_though_nothing_is_wanted_of_it(append: Callable[..., list[str]]) -> None:
    append(5)
    wanted = append(1, type="ended")
    append(2)

    first = reading.read_stretch(reading.START, types=["ended"], limit=5)
    assert first is not None
    assert first.events == []
    second = reading.read_stretch(first.ends, types=["ended"], limit=100)
    assert second is not None
    assert [event.event_id for event in second.events] == wanted
    assert second.ends == reading.head()
    assert reading.read_stretch(second.ends, limit=100) is None


def test_an_open_transaction_holds_back_its_own_events_and_younger_ones(append: Callable[..., list[str]]) -> None:
    before = append(1)
    with transaction.atomic():
        append(1)
        found = [event.event_id for event in reading.read_after(0, 0, limit=10)]

    assert found == before
    wait_until_readable()
    assert len(reading.read_after(0, 0, limit=10)) == 2


@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
def test_a_place_in_the_middle_is_found_by_the_index_without_a_sort(
    transactional_db: None,
    plan: str,
) -> None:
    execute(FLOOD)
    execute("ANALYZE stored_events")
    wanted = {"tx": 2000, "position": 0, "limit": 100, "tenant": None, "kinds": None}

    with transaction.atomic():
        execute(f"SET LOCAL plan_cache_mode = {plan}")
        found = {
            f"{name} {types}": troubles(statement, wanted | {"types": types}, most=400)
            for name, statement in STATEMENTS.items()
            for types in (None, ["happened"])
        }

    assert {name: trouble for name, trouble in found.items() if trouble} == {}
