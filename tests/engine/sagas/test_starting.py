"""How sagas begin: by name or as an object, in the caller's transaction, once per id; bad input is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from pydantic import BaseModel

from engine import connections, errors
from engine.bells import Bell
from engine.models import Activity, SagaRun, StoredEvent
from engine.sagas import registry, starting
from engine.sagas.builder import Saga, SagaStep
from engine.sagas.starting import Wish
from tenants.models import Tenant
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, step, work

Begin = Callable[..., Followed]


class Trip(BaseModel):
    """What a trip is booked with."""

    city: str
    nights: int = 1


@pytest.fixture(autouse=True)
def own_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_definitions", {})


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every statement of the engine, as it is run."""
    seen: list[Any] = []
    plain = connections.Cursor.execute

    def execute(self: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(statement)
        return plain(self, statement, *args, **kwargs)

    monkeypatch.setattr(connections.Cursor, "execute", execute)
    return seen


@pytest.fixture
def book_trip() -> str:
    @registry.saga("book_trip", input=Trip)
    def build(trip: Trip) -> list[SagaStep]:
        """Book a trip."""
        return [step("hotel", args=[f"{trip.city} {trip.nights}"])]

    return "book_trip"


def test_a_registered_saga_is_started_with_its_input(book_trip: str, tenant: Tenant) -> None:
    status = starting.start_saga_sync(book_trip, "trip-1", {"city": "Rome"}, tenant=tenant)

    assert (status["saga_id"], status["state"], status["definition"]) == ("trip-1", "RUNNING", "book_trip")
    work()
    assert calls.done == ["Rome 1"]
    assert SagaRun.objects.get().input == {"city": "Rome", "nights": 1}


def test_input_that_does_not_fit_names_the_field_and_starts_nothing(book_trip: str, tenant: Tenant) -> None:
    with pytest.raises(errors.InvalidSagaInput) as refused:
        starting.start_saga_sync(book_trip, "trip-1", {"city": "Rome", "nights": "many"}, tenant=tenant)

    assert refused.value.attr == "input.nights"
    assert not SagaRun.objects.exists()


@pytest.mark.parametrize(
    ("given", "attr"), [({}, "input.city"), ({"city": 3}, "input.city"), ([], "input"), ({"city": "a\x00"}, "input")]
)
def test_a_json_schema_says_the_same(given: Any, attr: str, tenant: Tenant) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    registry.saga("by_schema", input=schema)(lambda trip: [step("hotel", args=[trip["city"]])])

    with pytest.raises(errors.InvalidSagaInput) as refused:
        starting.start_saga_sync("by_schema", "trip-1", given, tenant=tenant)

    assert refused.value.attr == attr


def test_a_definition_that_raises_refuses_the_input(tenant: Tenant) -> None:
    registry.saga("picky")(lambda trip: [step("hotel", args=[trip["city"]])])

    with pytest.raises(errors.InvalidSagaInput) as refused:
        starting.start_saga_sync("picky", "trip-1", {"town": "Rome"}, tenant=tenant)

    assert isinstance(refused.value.__cause__, KeyError)


def test_a_definition_tells_the_schema_of_its_input(book_trip: str) -> None:
    found = registry.get(book_trip)

    assert found.input_schema["required"] == ["city"]
    assert found.description == "Book a trip."
    assert [each.name for each in registry.all_definitions()] == ["book_trip"]


def test_a_name_that_nobody_registered_is_refused(tenant: Tenant) -> None:
    with pytest.raises(errors.UnknownDefinition):
        starting.start_saga_sync("nothing", "trip-1", tenant=tenant)


def test_a_name_is_registered_once(book_trip: str) -> None:
    with pytest.raises(errors.InvalidSaga):
        registry.saga(book_trip)(calls.note)  # type: ignore[arg-type]


def test_a_broken_schema_is_refused_when_it_is_registered() -> None:
    with pytest.raises(errors.InvalidSaga):
        registry.saga("broken", input={"type": "nothing"})


def test_an_id_is_used_once(begin: Begin) -> None:
    begin(step("a"))

    with pytest.raises(errors.SagaExists):
        begin(step("a"))
    work()
    with pytest.raises(errors.SagaExists):
        begin(step("a"))
    assert calls.done == ["a"]


def test_of_two_wishes_with_one_id_the_first_is_granted(tenant: Tenant) -> None:
    definition = Saga("definition", steps=[step("a")])

    verdicts = starting.start_sagas_sync(definition, [Wish("x"), Wish("x"), Wish(""), Wish("y")], tenant=tenant)

    assert [type(each.refusal) for each in verdicts] == [
        type(None),
        errors.SagaExists,
        errors.InvalidSaga,
        type(None),
    ]
    assert SagaRun.objects.count() == 2


def test_what_is_rolled_back_was_never_started(begin: Begin, rung: list[Bell]) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        begin(step("a"))
        raise ZeroDivisionError

    assert not SagaRun.objects.exists()
    assert not Activity.objects.exists()
    assert not StoredEvent.objects.exists()
    assert rung == []


def test_workers_are_rung_for_when_the_caller_commits(begin: Begin, rung: list[Bell]) -> None:
    with transaction.atomic():
        begin(step("a"))
        assert rung == []

    assert Bell.ACTIVITIES in rung


def test_a_callable_that_no_worker_can_import_is_refused(begin: Begin) -> None:
    with pytest.raises(errors.InvalidSaga) as refused:
        begin(step("a"), step("b", lambda _: None))

    assert refused.value.attr == "steps.1.action"


def test_arguments_that_are_no_json_are_refused(begin: Begin) -> None:
    with pytest.raises(errors.InvalidSaga) as refused:
        begin(step("a", args=[{1, 2}]))

    assert refused.value.attr == "steps.0.args"


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan"), "5"])
def test_a_time_limit_that_is_none_is_refused(begin: Begin, timeout: Any) -> None:
    with pytest.raises(errors.InvalidSaga) as refused:
        begin(step("a"), timeout=timeout)

    assert refused.value.attr == "timeout"


def test_starting_many_takes_the_same_number_of_statements_as_starting_few(
    tenant: Tenant, statements: list[Any]
) -> None:
    definition = Saga("definition", steps=[step("a"), step("b")])
    starting.start_sagas_sync(definition, [Wish("warm")], tenant=tenant)

    counted = []
    for size in (2, 200):
        statements.clear()
        starting.start_sagas_sync(definition, [Wish(f"{size}-{n}") for n in range(size)], tenant=tenant)
        counted.append(len(statements))

    assert counted[0] == counted[1]
