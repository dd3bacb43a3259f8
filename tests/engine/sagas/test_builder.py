"""Sagas as programs declare them, and why some are refused."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from engine import Saga, SagaStep, callables, values
from engine.errors import DuplicateStep, InvalidSaga, NotCallable, PivotConflict, StepCycle, UnknownStep


async def charge(amount: int) -> str:
    return f"charged {amount}"


def refund(amount: int) -> None:
    """Give it back."""


class Shop:
    @classmethod
    def open(cls) -> None:
        """Unlock the door."""

    def close(self) -> None:
        """Lock the door."""

    async def __call__(self) -> None:
        """Sell something."""


def saga(*steps: SagaStep) -> Saga:
    made = Saga("order-1")
    for step in steps:
        made.add_step(step)
    return made


def test_the_first_fields_of_a_step_come_in_their_order() -> None:
    step = SagaStep("payment", charge, refund, (100,), {"currency": "EUR"})

    assert (step.name, step.action, step.compensation, step.args, step.kwargs) == (
        "payment",
        charge,
        refund,
        (100,),
        {"currency": "EUR"},
    )


def test_a_plan_names_what_other_processes_can_import() -> None:
    (planned,) = saga(SagaStep("payment", charge, refund, (100,), after=(), timeout=5, pivot=True)).as_plan()

    assert planned == {
        "name": "payment",
        "after": [],
        "action": f"{__name__}:charge",
        "compensation": f"{__name__}:refund",
        "args": [100],
        "kwargs": {},
        "retry": None,
        "timeout_s": 5,
        "pivot": True,
    }


@pytest.mark.parametrize(
    "function",
    [lambda: None, partial(charge, 1), Shop().close, Shop()],
    ids=["lambda", "partial", "bound method", "object"],
)
def test_what_lives_in_its_process_has_no_address_elsewhere(function: Any) -> None:
    address = callables.address_of(function)

    assert not callables.is_importable(address)
    with pytest.raises(callables.NotFound):
        callables.find(address)


@pytest.mark.parametrize("function", [charge, Shop.open, len], ids=["function", "class method", "built in"])
def test_what_can_be_imported_is_found_again(function: Any) -> None:
    assert callables.find(callables.address_of(function)) == function


@pytest.mark.parametrize("function", [charge, partial(charge, 1), Shop()], ids=["function", "partial", "object"])
def test_asynchronous_callables_are_known_as_such(function: Any) -> None:
    assert callables.is_async(function)
    assert not callables.is_async(refund)


@pytest.mark.parametrize("args", [(object(),), ((1, 2),), ({1: 2},), (float("nan"),), ("\0",)])
def test_arguments_that_are_not_exactly_json_are_not_kept(args: tuple[Any, ...]) -> None:
    (planned,) = saga(SagaStep("payment", charge, args=args)).as_plan()

    assert planned["args"] is None


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), float("inf"), "\0", "\ud800", {1: 2}, 2**70, [float("nan")]],
    ids=["set", "object", "infinity", "NUL", "surrogate", "number as key", "long number", "NaN"],
)
def test_results_that_the_log_cannot_keep_are_refused(value: Any) -> None:
    with pytest.raises(values.NotJson):
        values.kept(value)


def test_results_are_given_as_the_log_keeps_them() -> None:
    assert values.kept({"both": (1, "a\\u0000"), "none": None}) == {"both": [1, "a\\u0000"], "none": None}


def test_two_steps_of_one_name_are_refused() -> None:
    with pytest.raises(DuplicateStep) as refusal:
        saga(SagaStep("payment", charge), SagaStep("payment", charge))

    assert refusal.value.attr == "steps.1.name"


def test_a_step_may_come_after_one_that_is_added_later() -> None:
    saga(SagaStep("courier", charge, after=("payment",)), SagaStep("payment", charge)).check()


def test_a_step_after_an_unknown_one_is_refused() -> None:
    with pytest.raises(UnknownStep, match="'courier' comes after 'payment'"):
        saga(SagaStep("courier", charge, after=["payment"])).check()


def test_a_cycle_is_refused_with_its_path() -> None:
    with pytest.raises(StepCycle) as refusal:
        saga(
            SagaStep("a", charge, after="c"),
            SagaStep("b", charge, after="a"),
            SagaStep("c", charge, after="b"),
            SagaStep("d", charge),
        ).check()

    path = refusal.value.detail.partition(": ")[2].rstrip(".").split(" → ")
    assert path[0] == path[-1]
    assert sorted(path[1:]) == ["a", "b", "c"]
    assert all((one, two) in {("a", "b"), ("b", "c"), ("c", "a")} for one, two in pairwise(path))


def test_a_step_that_comes_after_itself_is_a_cycle() -> None:
    with pytest.raises(StepCycle):
        saga(SagaStep("a", charge, after="a")).check()


def test_two_points_of_no_return_are_refused() -> None:
    with pytest.raises(PivotConflict, match="a, b"):
        saga(SagaStep("a", charge, pivot=True), SagaStep("b", charge, pivot=True)).check()


@pytest.mark.parametrize(
    ("step", "attr"),
    [
        (SagaStep("", charge), "steps.0.name"),
        (SagaStep("x" * 65, charge), "steps.0.name"),
        (SagaStep("a\nb", charge), "steps.0.name"),
        (SagaStep(7, charge), "steps.0.name"),  # type: ignore[arg-type]
        (SagaStep("a", charge, args="abc"), "steps.0.args"),
        (SagaStep("a", charge, args=7), "steps.0.args"),  # type: ignore[arg-type]
        (SagaStep("a", charge, kwargs={1: 2}), "steps.0.kwargs"),  # type: ignore[dict-item]
        (SagaStep("a", charge, timeout=0), "steps.0.timeout"),
        (SagaStep("a", charge, timeout=float("nan")), "steps.0.timeout"),
        (SagaStep("a", charge, retry=3), "steps.0.retry"),  # type: ignore[arg-type]
        (SagaStep("a", charge, after=7), "steps.0.after"),  # type: ignore[arg-type]
        ("a", "steps.0"),
    ],
)
def test_a_wrong_field_is_named(step: Any, attr: str) -> None:
    with pytest.raises(InvalidSaga) as refusal:
        saga(step)

    assert refusal.value.attr == attr


@pytest.mark.parametrize("step", [SagaStep("a", None), SagaStep("a", charge, "refund")])  # type: ignore[arg-type]
def test_what_cannot_be_called_is_refused(step: SagaStep) -> None:
    with pytest.raises(NotCallable):
        saga(step)


@pytest.mark.parametrize("saga_id", ["", " ", "x" * 256, "a\0b", 7, None])
def test_an_id_that_cannot_be_kept_is_refused(saga_id: Any) -> None:
    with pytest.raises(InvalidSaga):
        Saga(saga_id)


@pytest.mark.parametrize("name", ["stock:compensate", "stock@2", "stock:compensate@3"])
def test_no_step_is_called_as_the_keys_of_another_end(name: str) -> None:
    with pytest.raises(InvalidSaga) as refusal:
        Saga("order-1", steps=[SagaStep("stock", print), SagaStep(name, print)])

    assert refusal.value.attr == "steps.1.name"
