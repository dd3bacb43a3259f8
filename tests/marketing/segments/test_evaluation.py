"""Members are what the rule says, and every change is told once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from engine import clock, event_router, inbox
from engine.bells import Bell
from engine.models import InboundEvent
from marketing.models import Customer, Segment, SegmentDue
from marketing.segments import catalog, changes, due, evaluation
from tenants.models import Tenant
from tests.engine.conftest import FakeClock
from tests.support.races import held_by_somebody

IS_PRO = {"path": "participant.plan", "op": "eq", "value": "pro"}
BOUGHT = {"event": "bought", "within": "30d"}


@pytest.fixture
def segment(tenant: Tenant) -> Callable[..., Segment]:
    """Make a segment of a rule, and look at everybody."""

    def make(rule: Any = IS_PRO, slug: str = "pros") -> Segment:
        made = catalog.create(tenant, {"slug": slug, "rule": rule})
        settle()
        return Segment.objects.get(pk=made.pk)

    return make


def settle() -> None:
    """Look at whoever is due, and route what that tells, until nothing happens."""
    while due.run(5.0) + event_router.route(slice_s=5.0):
        pass


def members(segment: Segment) -> set[str]:
    return set(segment.members.values_list("customer__external_id", flat=True))


def told() -> list[tuple[str, str]]:
    kinds = ("segment.entered", "segment.left")
    rows = InboundEvent.objects.filter(event_type__in=kinds).order_by("received_at", "id")
    return [(row.participant_id, row.event_type) for row in rows]


def change(customer: Customer, **properties: Any) -> None:
    """Change a profile as everything that changes one does: with its notice, in one transaction."""
    with transaction.atomic():
        customer.properties = {**customer.properties, **properties}
        customer.save(update_fields=["properties"])
        changes.note(
            customer.tenant_id, [customer.external_id], {"fields": [f"properties.{key}" for key in properties]}
        )


def test_a_new_segment_finds_its_members_and_tells_nothing_of_them(
    customer: Callable[..., Customer], segment: Callable[..., Segment]
) -> None:
    customer("ada", properties={"plan": "pro"})
    customer("bob", properties={"plan": "free"})
    customer("eve", properties={"plan": "pro"}, state="erased")

    pros = segment()

    assert (members(pros), pros.member_count) == ({"ada"}, 1)
    assert pros.evaluated_at == clock.now()
    assert told() == []


def test_a_whole_segment_is_looked_at_stretch_by_stretch(
    customer: Callable[..., Customer], segment: Callable[..., Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "STRETCH", 3)
    for number in range(10):
        customer(f"c{number}", properties={"plan": "pro" if number % 2 else "free"})

    assert members(segment()) == {"c1", "c3", "c5", "c7", "c9"}


def test_whoever_changes_enters_and_leaves_and_each_is_told_once(
    customer: Callable[..., Customer], segment: Callable[..., Segment], rung: list[Bell]
) -> None:
    ada, pros = customer("ada"), segment()

    rung.clear()
    change(ada, plan="pro")
    assert rung == [Bell.CHORES]
    settle()
    settle()
    assert (members(pros), told()) == ({"ada"}, [("ada", "segment.entered")])

    change(ada, plan="free")
    settle()
    pros.refresh_from_db()
    assert (members(pros), pros.member_count) == (set(), 0)
    assert told() == [("ada", "segment.entered"), ("ada", "segment.left")]
    entered = InboundEvent.objects.get(event_type="segment.entered")
    assert entered.data == {"segment_id": "pros", "segment_key": str(pros.pk), "name": "pros"}


def test_a_change_that_no_segment_reads_is_not_noted(
    customer: Callable[..., Customer], segment: Callable[..., Segment], rung: list[Bell]
) -> None:
    ada, _ = customer("ada"), segment()
    SegmentDue.objects.all().delete()
    rung.clear()

    change(ada, colour="red")

    assert not SegmentDue.objects.exists()
    assert rung == []


def test_an_event_counts_until_its_window_is_over(
    tenant: Tenant, customer: Callable[..., Customer], segment: Callable[..., Segment], now: FakeClock
) -> None:
    customer("ada")
    buyers = segment(BOUGHT, "buyers")

    inbox.publish_event("ada", "bought", tenant=tenant)
    settle()
    assert members(buyers) == {"ada"}

    now.advance(days=30, seconds=-1)
    settle()
    assert members(buyers) == {"ada"}

    now.advance(seconds=1)
    assert due.is_due()
    settle()
    assert members(buyers) == set()
    assert told() == [("ada", "segment.entered"), ("ada", "segment.left")]


def test_a_window_that_began_before_the_segment_was_made_runs_out_too(
    tenant: Tenant, customer: Callable[..., Customer], segment: Callable[..., Segment], now: FakeClock
) -> None:
    customer("ada")
    inbox.publish_event("ada", "bought", tenant=tenant, occurred_at=now() - timedelta(days=29))
    event_router.route()
    idle = segment({"event": "bought", "did": False, "within": "30d"}, "idle")
    assert members(idle) == set()

    now.advance(days=1)
    settle()

    assert members(idle) == {"ada"}


def test_a_moment_that_passes_moves_people_by_itself(
    customer: Callable[..., Customer], segment: Callable[..., Segment], now: FakeClock
) -> None:
    customer("ada", properties={"trial_ends": "2030-01-11T12:00:00Z"})
    soon = segment({"path": "participant.trial_ends", "op": "within", "value": "3d"}, "soon")
    over = segment({"path": "participant.trial_ends", "op": "before", "value": {"ref": "now"}}, "over")
    assert members(soon) | members(over) == set()

    now.advance(days=7)
    settle()
    assert (members(soon), members(over)) == ({"ada"}, set())

    now.advance(days=3, seconds=1)
    settle()
    assert (members(soon), members(over)) == ({"ada"}, {"ada"})

    now.advance(days=3)
    settle()
    assert (members(soon), members(over)) == (set(), {"ada"})


def test_a_new_rule_is_asked_of_everybody_and_tells(
    customer: Callable[..., Customer], segment: Callable[..., Segment]
) -> None:
    customer("ada", properties={"plan": "pro"})
    customer("bob", properties={"plan": "free"})
    pros = segment()

    catalog.change(pros, {"rule": {"not": IS_PRO}})
    settle()

    assert members(pros) == {"bob"}
    assert sorted(told()) == [("ada", "segment.left"), ("bob", "segment.entered")]


def test_a_segment_in_a_colleagues_hands_is_looked_at_later(
    customer: Callable[..., Customer], segment: Callable[..., Segment]
) -> None:
    ada, pros = customer("ada"), segment()
    change(ada, plan="pro")

    with held_by_somebody("SELECT 1 FROM segments WHERE id = %s FOR NO KEY UPDATE", [pros.pk]):
        assert due.run(0.0) == 0
        assert members(pros) == set()
    settle()

    assert members(pros) == {"ada"}


def test_one_whose_rule_cannot_be_asked_does_not_hold_up_the_others(
    customer: Callable[..., Customer], segment: Callable[..., Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, broken, pros = customer("ada"), segment(slug="broken"), segment()
    real = evaluation.judge_some

    def judge(of: Segment, *args: Any, **kwargs: Any) -> Any:
        if of.pk == broken.pk:
            evaluation.execute("SELECT 1 / 0")
        return real(of, *args, **kwargs)

    monkeypatch.setattr(evaluation, "judge_some", judge)
    change(ada, plan="pro")
    settle()

    assert (members(pros), members(broken)) == ({"ada"}, set())
    assert not due.is_due()


def test_one_that_takes_too_long_is_looked_at_later_and_does_not_hold_up_the_others(
    customer: Callable[..., Customer], segment: Callable[..., Segment], monkeypatch: pytest.MonkeyPatch, now: FakeClock
) -> None:
    ada, slow, pros = customer("ada"), segment(slug="slow"), segment()
    real = evaluation.judge_some

    def judge(of: Segment, *args: Any, **kwargs: Any) -> Any:
        if of.pk == slow.pk:
            evaluation.execute("SET LOCAL statement_timeout = 10")
            evaluation.execute("SELECT pg_sleep(9)")
        return real(of, *args, **kwargs)

    change(ada, plan="pro")
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "judge_some", judge)
        settle()
    assert (members(pros), members(slow)) == ({"ada"}, set())

    now.advance(minutes=5)
    settle()
    assert members(slow) == {"ada"}


def test_tenants_never_meet(
    tenant: Tenant, other_tenant: Tenant, customer: Callable[..., Customer], segment: Callable[..., Segment]
) -> None:
    customer("ada", tenant=other_tenant, properties={"plan": "pro"})
    pros = segment()

    inbox.publish_event("ada", "bought", tenant=other_tenant)
    change(Customer.objects.get(), plan="pro")
    settle()

    assert members(pros) == set()
    assert not SegmentDue.objects.filter(tenant=other_tenant).exists()
