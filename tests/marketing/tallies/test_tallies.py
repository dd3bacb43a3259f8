"""Figures of messages and conversions are those of a raw count, however their rows came to be what they are."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from engine import clock
from engine.analytics.period import Period
from engine.connections import execute
from engine.ports import Conversion as Reached
from marketing.conversions.recording import Conversions
from marketing.deliveries.states import PATHS
from marketing.models import Conversion, Delivery, Tally
from marketing.tallies import reading, totals
from tenants.models import Tenant
from tests.support.graphs import chain
from tests.support.passage import Passage

NOW = timedelta()
COUNTED = (*reading.WAY, *reading.ENDS)
WAY = ("queued", "sent", "delivered", "opened", "clicked")
HANDED_OVER = {"sent": 1, "unknown": 1, "bounced": 1, "complained": 1, "delivered": 2, "opened": 3, "clicked": 4}


@pytest.fixture
def run(passage: Callable[..., Passage]) -> Passage:
    return passage(chain(1)).start()


@pytest.fixture
def message(tenant: Tenant) -> Callable[..., Delivery]:
    def make(run: Passage, **facts: Any) -> Delivery:
        given = {"node_id": "mail", "channel": "email", "created_at": clock.now(), **facts}
        return Delivery.objects.create(
            tenant=tenant, flow_id=run.flow.pk, instance_id=run.id, key=str(uuid4()), participant_id="ada", **given
        )

    return make


def move(row: Delivery, status: str, reason: str = "") -> None:
    """As its sender does it: one statement, over several arrows at once perhaps."""
    execute("UPDATE deliveries SET status = %s, reason = %s WHERE id = %s", [status, reason, row.pk])


def figures(run: Passage, channel: str = "email", **asked: Any) -> dict[str, Any]:
    found = reading.channels(run.flow.tenant_id, Period.of(), flow_id=run.flow.pk, **asked)
    return {each["channel"]: each for each in found}[channel]


def test_what_has_come_far_has_come_to_all_before_it(run: Passage, message: Any) -> None:
    for status in ("sent", "clicked", "delivered", "queued"):
        row = message(run)
        move(row, status)
    move(row, "bounced", reason="hard_bounce")

    found = figures(run)

    assert [found[name] for name in WAY] == [4, 4, 2, 1, 1]
    assert found["bounced"] == 1
    assert found["rates"]["delivered"] == 0.5


def test_skips_and_failures_count_by_reason_without_its_particulars(run: Passage, message: Any) -> None:
    for reason in ("template_missing:name", "template_missing:city", "unsubscribed"):
        move(message(run), "skipped", reason=reason)
    move(message(run), "failed", reason="invalid_address")

    found = figures(run)

    assert (found["queued"], found["sent"], found["skipped"], found["failed"]) == (4, 0, 3, 1)
    assert found["skipped_by_reason"] == {"template_missing": 2, "unsubscribed": 1}
    assert found["failed_by_reason"] == {"invalid_address": 1}


def test_only_what_is_asked_for_counts(run: Passage, message: Any, tenant: Tenant, other_tenant: Tenant) -> None:
    message(run)
    message(run, channel="sms", node_id="text")
    message(run, created_at=clock.now() - timedelta(days=40))

    everywhere = {each["channel"]: each["queued"] for each in reading.channels(tenant.pk, Period.of())}
    assert everywhere == {"email": 1, "sms": 1, "push": 0, "whatsapp": 0, "in_app": 0}
    assert (figures(run, node_id="text")["queued"], figures(run, "sms", node_id="text")["queued"]) == (0, 1)
    assert figures(run, version=2)["queued"] == 0
    assert not any(each["queued"] for each in reading.channels(other_tenant.pk, Period.of()))
    assert [each["node_id"] for each in reading.messages(run.flow, Period.of())] == ["mail", "text"]


def test_a_message_counts_for_the_version_that_made_it(run: Passage, message: Any) -> None:
    row, later = message(run), clock.now() + timedelta(hours=1)
    execute("UPDATE flow_instances SET migrated_at = %s, migrated_from_version = 7 WHERE id = %s", [later, run.id])

    move(row, "delivered")

    assert figures(run, version=7)["delivered"] == 1


def test_what_is_undone_is_not_counted(run: Passage, message: Any) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        message(run)
        raise ZeroDivisionError

    assert not Tally.objects.exists()


def test_random_lives_of_messages_agree_with_a_raw_count(run: Passage, message: Any) -> None:
    chance = random.Random(7)
    expected = Counter[str]()
    for _ in range(40):
        row = message(run)
        expected["queued"] += 1
        status, rank = "queued", 0
        for _ in range(chance.randint(0, 5)):
            ways = [target for source, target in PATHS if source == status and target != source]
            if not ways:
                break
            status = chance.choice(sorted(ways))
            move(row, status)
            reached = max(rank, HANDED_OVER.get(status, 0))
            expected.update(WAY[rank + 1 : reached + 1])
            rank = reached
            if status not in (*WAY, "claimed"):
                expected[status] += 1
        if chance.random() < 0.2:
            totals.add_up(1.0, loose_for=NOW)

    found = figures(run)

    assert {name: found[name] for name in COUNTED} == {name: expected[name] for name in COUNTED}


def test_adding_up_leaves_the_figures_and_few_rows(run: Passage, message: Any) -> None:
    for _ in range(5):
        move(message(run), "opened")
    before, rows = figures(run), Tally.objects.count()

    assert totals.add_up(1.0, loose_for=NOW) == rows
    assert totals.add_up(1.0, loose_for=NOW) == 0
    move(message(run), "sent")
    totals.add_up(1.0, loose_for=NOW)

    assert Tally.objects.count() == 4
    assert figures(run)["opened"] == before["opened"] == 5
    assert not totals.is_due()


def reach(run: Passage, name: str = "bought", **facts: Any) -> None:
    reached = Reached(str(run.id), str(run.flow.pk), 1, "ada", name, clock.now(), "last_send", facts)
    Conversions().record_many(str(run.flow.tenant_id), [reached])


def test_conversions_count_once_with_what_was_filled_in(run: Passage, message: Any) -> None:
    message(run, status="sent", sent_at=clock.now())
    reach(run)
    reach(run, value="10.50", currency="EUR", variant="long")
    reach(run, value="99", currency="USD")
    reach(run, "upsold", value="1.0001", currency="USD")

    found = {each["goal"]: each for each in reading.conversions(run.flow, Period.of())}

    assert found["bought"] == {
        "goal": "bought", "conversions": 1, "held_out": 0, "attributed": {"click": 0, "send": 1, "none": 0},
        "revenue": [{"currency": "EUR", "value": Decimal("10.5")}], "variants": {"long": 1},
    }  # fmt: skip
    assert found["upsold"]["revenue"] == [{"currency": "USD", "value": Decimal("1.0001")}]
    assert sum(each["conversions"] for each in found.values()) == Conversion.objects.count()
    [mail] = reading.messages(run.flow, Period.of())
    assert mail["conversions"] == 2
