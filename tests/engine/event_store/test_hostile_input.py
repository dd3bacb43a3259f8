"""What cannot be stored is refused before anything is, and the refusal names the place."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from engine import Append, Event, EventStore
from engine.errors import InvalidAggregate, InvalidEvent, InvalidTenant
from engine.models import StoredEvent
from tenants.models import Tenant

ADA = ("account", "ada")

CIRCLE: dict[str, Any] = {}
CIRCLE["again"] = CIRCLE


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"a": made}
    return made


@pytest.fixture
def store(tenant: Tenant) -> EventStore:
    return EventStore(tenant)


@pytest.mark.parametrize(
    ("data", "attr"),
    [
        ({"amount": math.nan}, "events.1.data.amount"),
        ({"amount": [1, -math.inf]}, "events.1.data.amount.1"),
        ({"a": {"b": [{"c": "x\0y"}]}}, "events.1.data.a.b.0.c"),
        ({"a": "\ud800"}, "events.1.data.a"),
        ({"a\0b": 1}, "events.1.data"),
        ({"a\udfff": 1}, "events.1.data"),
        ({"a": {1: 2}}, "events.1.data.a"),
        ({"a": 2**64}, "events.1.data.a"),
        ({"a": -(2**63) - 1}, "events.1.data.a"),
        ({"a": datetime(2030, 1, 1, tzinfo=UTC)}, "events.1.data.a"),
        ({"a": uuid4()}, "events.1.data.a"),
        ({"a": Decimal("1.2")}, "events.1.data.a"),
        ({"a": {1, 2}}, "events.1.data.a"),
        ({"a": object()}, "events.1.data.a"),
        ({"a": b"raw"}, "events.1.data.a"),
        ([1], "events.1.data"),
        (None, "events.1.data"),
        ("text", "events.1.data"),
        (nested(300), None),
        (CIRCLE, None),
    ],
)
@pytest.mark.parametrize("where", ["data", "metadata"])
def test_what_is_no_json_is_refused_by_name(store: EventStore, where: str, data: Any, attr: str | None) -> None:
    if where == "metadata" and data is None:
        pytest.skip("An event may come without metadata.")
    hostile = Event("deposited", **{where: data})

    with pytest.raises(InvalidEvent) as refused:
        store.append_sync(ADA, [Event("deposited"), hostile])

    if attr is not None:
        assert refused.value.attr == attr.replace(".data", f".{where}")
        assert attr.replace(".data", f".{where}") in refused.value.detail
    refused.value.detail.encode()
    assert not StoredEvent.objects.exists()


@pytest.mark.parametrize(
    "data",
    [
        {"text": "ä 😀 \\ \t \n \r \x01 \x7f \\u0000 \\N", "back\\slash": ["\\", "\\n"]},
        {"numbers": [0, -1, 2**63, 2**64 - 1, 1.5, 1e300, -1e-300, 0.1]},
        {"floats": [-5.929736738769434e16, {"a": 1.7e308}, 1e16, 9007199254740993.0, 5e-324], "text": "1e5"},
        {"none": None, "null": "null", "true": True, "empty": [{}, [], ""]},
        {"": {"": ""}},
        nested(60),
        {"large": "x" * 200_000},
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_whatever_is_json_comes_back_as_it_was(store: EventStore, data: dict[str, Any], count: int) -> None:
    given = store.append_sync(ADA, [Event("kept", data, metadata={"kept": data})] * count)

    assert [event.data for event in given] == [data] * count
    assert [event.data for event in store.read_sync(ADA)] == [data] * count
    assert [event.metadata for event in store.read_sync(ADA)] == [{"kept": data}] * count


def test_a_tuple_is_a_list_and_what_is_given_is_not_changed(store: EventStore) -> None:
    data = {"pair": (1, 2)}
    event = Event("kept", data)
    (given,) = store.append_sync(ADA, [event])
    given.data["pair"].append(3)

    assert store.read_sync(ADA)[0].data == {"pair": [1, 2]}
    assert event == Event("kept", {"pair": (1, 2)})


@pytest.mark.parametrize("kind", ["", "  ", "x" * 65, "a\0b", "a\nb", "\ud800", 7, None, b"x"])
def test_the_type_of_an_event_is_a_short_text(store: EventStore, kind: Any) -> None:
    with pytest.raises(InvalidEvent) as refused:
        store.append_sync(ADA, [Event(kind)])
    assert refused.value.attr == "events.0.type"


@pytest.mark.parametrize("version", [-1, 2**15, "1", None, 1.0, True])
def test_the_version_of_an_event_is_a_small_number(store: EventStore, version: Any) -> None:
    with pytest.raises(InvalidEvent) as refused:
        store.append_sync(ADA, [Event("deposited", schema_version=version)])
    assert refused.value.attr == "events.0.schema_version"


@pytest.mark.parametrize("events", ["text", Event("deposited"), None, 7, [{"type": "deposited"}], ["deposited"]])
def test_only_lists_of_events_are_appended(store: EventStore, events: Any) -> None:
    with pytest.raises(InvalidEvent) as refused:
        store.append_sync(ADA, events)
    assert (refused.value.attr or "").startswith("events")


@pytest.mark.parametrize("expected", [-1, 2**63, "1", 1.0, True])
def test_an_expectation_is_a_sequence(store: EventStore, expected: Any) -> None:
    with pytest.raises(InvalidEvent) as refused:
        store.append_sync(ADA, [Event("deposited")], expected)
    assert refused.value.attr == "expected_sequence"


@pytest.mark.parametrize(
    ("aggregate", "attr"),
    [
        ("account", "aggregate"),
        (("account",), "aggregate"),
        (None, "aggregate"),
        (("account", "ada", 1), "aggregate"),
        (("", "ada"), "aggregate.type"),
        (("x" * 33, "ada"), "aggregate.type"),
        (("a\tb", "ada"), "aggregate.type"),
        ((7, "ada"), "aggregate.type"),
        (("account", ""), "aggregate.id"),
        (("account", " "), "aggregate.id"),
        (("account", "a\0b"), "aggregate.id"),
        (("account", "\ud800"), "aggregate.id"),
        (("account", "x" * 256), "aggregate.id"),
        (("account", 7), "aggregate.id"),
        (("account", None), "aggregate.id"),
    ],
)
def test_an_aggregate_is_a_type_and_an_id(store: EventStore, aggregate: Any, attr: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: store.append_sync(aggregate, [Event("deposited")]),
        lambda: store.append_many_sync([Append(ADA, [Event("deposited")]), Append(aggregate, [Event("deposited")])]),
        lambda: store.read_sync(aggregate),
        lambda: store.head_sync(aggregate),
    ]
    for act in acts:
        with pytest.raises(InvalidAggregate) as refused:
            act()
        assert refused.value.attr == attr
    assert not StoredEvent.objects.exists()


def test_in_a_batch_the_place_is_named_with_the_number_of_the_append(store: EventStore) -> None:
    good, bad = (
        Append(ADA, [Event("deposited")]),
        Append(ADA, [Event("deposited"), Event("deposited", {"a": math.nan})]),
    )
    with pytest.raises(InvalidEvent) as refused:
        store.append_many_sync([good, bad])
    assert refused.value.attr == "1.events.1.data.a"


def test_metadata_of_a_call_is_looked_at_too(store: EventStore) -> None:
    with pytest.raises(InvalidEvent) as refused:
        store.append_sync(ADA, [Event("deposited")], metadata={"actor": "a\0b"})
    assert refused.value.attr == "metadata.actor"


@pytest.mark.parametrize("tenant_id", ["", "acme", 7, object()])
def test_a_tenant_is_a_row_or_its_id(tenant_id: Any) -> None:
    with pytest.raises(InvalidTenant) as refused:
        EventStore(tenant_id)
    assert refused.value.attr == "tenant"


def test_types_to_read_are_a_list_and_not_the_letters_of_a_text(store: EventStore) -> None:
    with pytest.raises(InvalidEvent) as refused:
        store.read_all_sync(types="deposited")
    assert refused.value.attr == "types"
