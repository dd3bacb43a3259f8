"""What is forgotten, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from engine import retention
from engine.connections import execute
from engine.models import Activity, EventSubscription, InboundEvent
from engine.models.scheduled_work import ScheduledWork
from tenants.models import Tenant
from tests.engine.conftest import NOON
from tests.support.graphs import chain
from tests.support.passage import Passage


def test_a_goal_is_forgotten_when_its_window_is_over(passage: Callable[..., Passage], now: Any) -> None:
    goal = {"name": "won", "event_type": "bought", "window": "7d"}
    passage(chain(1, goal=goal)).start()

    now.advance(days=6)
    retention.prune()
    assert EventSubscription.objects.filter(kind="goal").count() == 1

    now.advance(days=2)
    retention.prune()
    assert not EventSubscription.objects.exists()


OLD, FRESH = timedelta(days=31), timedelta(days=29)


def call(tenant: Tenant, kind: str, status: str, ago: timedelta) -> Activity:
    ended = datetime.now(UTC) - ago if status not in {"parked", "pending"} else None
    return Activity.objects.create(
        tenant=tenant, kind=kind, target="t", idempotency_key=str(uuid4()), status=status, completed_at=ended,
        due_at=datetime.now(UTC) - ago, created_at=datetime.now(UTC) - ago,
    )  # fmt: skip


def promise(tenant: Tenant, status: str, ended_at: datetime | None, **result: Any) -> ScheduledWork:
    return ScheduledWork.objects.create(
        tenant=tenant, kind="task", status=status, result=result, due_at=NOON, created_at=NOON, ended_at=ended_at
    )


def heard(tenant: Tenant, at: datetime, *, routed: bool) -> InboundEvent:
    return InboundEvent.objects.create(
        tenant=tenant, event_id=str(uuid4()), participant_id="ada", event_type="x", occurred_at=at, received_at=at,
        routed_at=at if routed else None,
    )  # fmt: skip


def test_ended_calls_of_handlers_and_tasks_are_forgotten_in_batches_and_nothing_else_is(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(3):
        call(tenant, "delivery", "completed", OLD)
    call(tenant, "task", "failed", OLD)
    call(tenant, "send", "completed", OLD)
    kept = {
        call(tenant, "delivery", "completed", FRESH),
        call(tenant, "delivery", "parked", OLD),
        call(tenant, "delivery", "pending", OLD),
        call(tenant, "node", "completed", OLD),
        call(tenant, "saga_step", "completed", OLD),
    }

    retention.prune()

    assert set(Activity.objects.all()) == kept


def test_a_promise_is_forgotten_after_its_call(tenant: Tenant) -> None:
    parked = call(tenant, "task", "parked", OLD)
    promise(tenant, "started", NOON - OLD)
    promise(tenant, "cancelled", NOON - OLD)
    kept = {
        promise(tenant, "scheduled", None),
        promise(tenant, "failed", NOON - FRESH),
        promise(tenant, "started", NOON - OLD, activity_id=str(parked.pk)),
    }

    retention.prune()

    assert set(ScheduledWork.objects.all()) == kept


def test_events_are_kept_for_ever_unless_the_settings_say_how_long(tenant: Tenant, settings: Any) -> None:
    heard(tenant, NOON - OLD, routed=True)
    kept = {heard(tenant, NOON - OLD, routed=False), heard(tenant, NOON - FRESH, routed=True)}

    retention.prune()
    assert InboundEvent.objects.count() == 3

    settings.KALCIFER_KEEP_EVENTS_DAYS = 30.0
    retention.prune()
    assert set(InboundEvent.objects.all()) == kept


def test_what_is_to_be_forgotten_is_found_by_an_index(tenant: Tenant) -> None:
    given = {"now": NOON, "age": OLD, "batch": 100}
    with transaction.atomic():
        execute("SET LOCAL enable_seqscan = off")
        for statement, index in (
            (retention.FORGET_CALLS, "activity_ended_call"),
            (retention.FORGET_PROMISES, "scheduled_ended"),
            (retention.FORGET_EVENTS, "inbound_events_pkey"),
        ):
            plan = "\n".join(row[0] for row in execute(f"EXPLAIN {statement}", given).fetchall())
            assert index in plan, plan
