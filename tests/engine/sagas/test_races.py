"""Sagas whose steps end, fail and are cancelled at the same moment: one order of things, and nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from engine import activities, errors
from engine.models import Activity, SagaRun, StoredEvent
from engine.sagas import controls, loop, starting
from engine.sagas.builder import Saga
from engine.sagas.starting import Wish
from tenants.models import Tenant
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, lease, record, step, work
from tests.support.races import at_once
from tests.support.soundness import assert_all_sound

Begin = Callable[..., Followed]
EIGHT = [f"s{number}" for number in range(8)]


def test_outcomes_of_one_sagas_steps_that_are_recorded_at_once_all_count(begin: Begin) -> None:
    order = begin(*(step(name) for name in EIGHT))

    at_once([partial(record, each) for each in lease()])

    assert order.state == "COMPLETED"
    assert sorted(each["place"] for each in order.row.steps) == list(range(1, 9))
    assert_all_sound()


def test_a_cancellation_among_outcomes_undoes_exactly_what_was_done(begin: Begin) -> None:
    order = begin(*(step(name) for name in EIGHT), step("last", after=EIGHT))
    leased = lease(6)

    at_once([
        *(partial(record, each) for each in leased),
        lambda: controls.cancel_saga_sync("order-1", tenant=order.tenant),
    ])  # fmt: skip
    work()

    assert order.state == "COMPENSATED"
    done, undone = set(calls.done) & {*EIGHT, "last"}, [each for each in calls.done if each.startswith("not ")]
    assert Counter(undone) == Counter(f"not {name}" for name in done)
    places = {each["name"]: each["place"] for each in order.row.steps}
    assert [places[word[4:]] for word in undone] == sorted((places[name] for name in done), reverse=True)
    assert_all_sound()


def test_of_two_cancellations_at_once_one_is_refused(begin: Begin) -> None:
    order = begin(step("a"))
    lease()

    def cancel() -> str:
        try:
            controls.cancel_saga_sync("order-1", tenant=order.tenant)
        except errors.SagaEnding:
            return "refused"
        return "heard"

    assert Counter(at_once([cancel] * 4)) == {"heard": 1, "refused": 3}
    assert order.events.count("saga_ending") == 1


def test_of_two_starts_with_one_id_at_once_one_is_refused(tenant: Tenant) -> None:
    definition = Saga("definition", steps=[step("a")])

    def start() -> None:
        starting.start_sagas_sync(definition, [Wish("x"), Wish("y"), Wish("z")], tenant=tenant)

    at_once([start] * 6)

    assert SagaRun.objects.count() == Activity.objects.count() == 3
    assert Counter(StoredEvent.objects.values_list("type", flat=True))["saga_created"] == 3


def test_many_sagas_recorded_by_many_hands_in_any_order_do_not_deadlock(tenant: Tenant) -> None:
    definition = Saga("definition", steps=[step("a"), step("b"), step("c", calls.decline)])
    starting.start_sagas_sync(definition, [Wish(f"order-{number}") for number in range(60)], tenant=tenant)

    def some_hands(*, backwards: bool) -> None:
        while leased := activities.take(20, "hands"):
            record(*(reversed(leased) if backwards else leased))
            loop.run(slice_s=1)

    at_once([partial(some_hands, backwards=number % 2 == 0) for number in range(6)], seconds=100)
    work()

    assert SagaRun.objects.filter(status="COMPENSATED").count() == 60
    for name in ("a", "b"):
        assert StoredEvent.objects.filter(type="step_completed", data__step=name).count() == (
            StoredEvent.objects.filter(type="step_compensated", data__step=name).count()
        )
    assert_all_sound()


@pytest.mark.parametrize("hands", [2, 5])
def test_the_loop_takes_each_saga_once_and_every_tenant_in_turn(
    hands: int, begin: Begin, tenant: Tenant, other_tenant: Tenant
) -> None:
    definition = Saga("definition", steps=[step("a")])
    for owner, count in ((tenant, 40), (other_tenant, 2)):
        starting.start_sagas_sync(definition, [Wish(f"o-{n}") for n in range(count)], tenant=owner, timeout=60)
    SagaRun.objects.update(deadline_at="2000-01-01T00:00:00Z")

    looked_at = at_once([partial(loop.run, slice_s=5.0)] * hands)

    assert sum(looked_at) == 42
    assert Counter(SagaRun.objects.values_list("status", flat=True)) == {"COMPENSATED": 42}
    assert StoredEvent.objects.filter(type="saga_ending").count() == 42
