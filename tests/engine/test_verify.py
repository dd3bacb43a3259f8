"""Rows are what their events say, and `verify` finds any that is not."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from engine import inbox, operations, timers, triggers, verify
from engine.event_router import route
from engine.nodes import registry
from flows.models import FlowInstance
from tenants.models import Tenant
from tests.engine.conftest import FakeClock
from tests.engine.operating import BROKEN, Effect, Fragile, append, breaking, for_event, waiting, with_effect
from tests.support.graphs import chain
from tests.support.passage import Passage, run_until_idle


@pytest.fixture(autouse=True)
def nodes(own_registry: None) -> None:
    BROKEN["is"] = True
    registry.register(Fragile)
    registry.register(Effect)


def differences(tenant: Tenant | None = None, **options: Any) -> list[verify.Difference]:
    return [each for batch in verify.verify(tenant and tenant.pk, **options) for each in batch.differences]


def tampered(statement: str, *values: Any) -> None:
    """Write past every guard, as a broken disk or a careless hand would."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE stored_events DISABLE TRIGGER USER")
        cursor.execute(statement, values)
        cursor.execute("ALTER TABLE stored_events ENABLE TRIGGER USER")


@pytest.fixture
def mixed(passage: Callable[..., Passage], now: FakeClock) -> Callable[[], None]:
    """A bit of everything that can become of an instance."""

    def run() -> None:
        waits, listens, breaks = (passage(graph).flow for graph in (waiting(), for_event(), breaking()))
        people = [Passage(waits, f"p{n}").start() for n in range(5)]
        ears = [Passage(listens, f"p{n}").start() for n in range(3)]
        broken = [Passage(breaks, f"p{n}").start() for n in range(2)]
        passage(chain(3), "quick").start(context={"n": 1.0, "big": 12345678901234567890, "text": "é\u2028"})
        passage(with_effect(), "side").start()
        operations.cancel(people[0].id, reason="asked")
        operations.pause(people[1].id)
        operations.pause(people[2].id)
        operations.resume(people[2].id)
        BROKEN["is"] = False
        operations.retry(broken[0].id)
        for each in ears[:2]:
            inbox.publish_event(each.participant_id, "clicked", tenant=each.flow.tenant)
        route()
        run_until_idle()
        now.advance(days=4)
        timers.wake_due()
        run_until_idle()
        triggers.start(waits, "fresh")

    return run


def test_everything_that_can_become_of_an_instance_is_told_by_its_events(mixed: Callable[[], None]) -> None:
    mixed()

    assert {*FlowInstance.objects.values_list("status", flat=True)} >= {"completed", "exited", "failed", "paused"}
    assert differences() == []
    assert differences(batch=2) == []
    assert sum(batch.count for batch in verify.verify(batch=3)) == FlowInstance.objects.count()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("exit_reason", "'else'"),
        ("context", "jsonb_set(context, '{entry}', '{\"a\": 1}')"),
        ("current_nodes", "'[]'"),
        ("step_count", "7"),
        ("updated_at", "now()"),
        ("error", "'{}'"),
        ("live_key", "'x'"),
    ],
)
def test_a_row_that_was_changed_is_found(passage: Callable[..., Passage], column: str, value: str) -> None:
    passage(waiting(), "bob").start()
    ada = passage(waiting()).start()
    tampered(f"UPDATE flow_instances SET {column} = {value} WHERE id = %s", ada.id)

    assert [(each.aggregate_id, each.field) for each in differences()] == [(str(ada.id), column)]


def test_a_gap_is_found(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    tampered("DELETE FROM stored_events WHERE aggregate_id = %s AND sequence = 2", ada.id)

    assert [each.field for each in differences()] == ["gap"]


def test_an_illegal_event_is_reported_and_not_applied(passage: Callable[..., Passage]) -> None:
    passage(chain(1)).start()
    bob = passage(chain(1), "bob").start()
    tampered(
        "INSERT INTO stored_events SELECT (SELECT max(position) + 1000 FROM stored_events), gen_random_uuid(),"
        " tenant_id, aggregate_type, aggregate_id, sequence + 1, 'resumed', schema_version, data, metadata,"
        " recorded_at, tx"
        " FROM stored_events WHERE aggregate_id = %s AND type = 'completed'",
        bob.id,
    )

    (found,) = differences()

    assert (found.aggregate_id, found.field) == (str(bob.id), "illegal_event")
    assert "resumed" in found.detail


def test_an_event_of_an_unknown_type_is_reported(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    tampered("UPDATE stored_events SET type = 'exploded' WHERE aggregate_id = %s AND sequence = 3", ada.id)

    assert [each.field for each in differences()] == ["illegal_event"]


def test_a_row_without_events_and_events_without_a_row(passage: Callable[..., Passage]) -> None:
    ada, bob = passage(waiting()).start(), passage(waiting(), "bob").start()
    tampered("DELETE FROM stored_events WHERE aggregate_id = %s", ada.id)
    tampered("DELETE FROM flow_instances WHERE id = %s", bob.id)

    assert {(each.aggregate_id, each.field) for each in differences()} == {
        (str(ada.id), "no_events"),
        (str(bob.id), "no_row"),
    }


def test_an_event_out_of_the_global_order_is_found(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    tampered("UPDATE stored_events SET tx = tx + 100000 WHERE aggregate_id = %s AND sequence = 1", ada.id)

    assert [each.field for each in differences()] == ["order"]


def test_of_one_transaction_the_events_have_their_order_too(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    tampered("UPDATE stored_events SET tx = 100 WHERE aggregate_id = %s", ada.id)
    tampered("UPDATE stored_events SET position = position + 100000 WHERE aggregate_id = %s AND sequence = 1", ada.id)

    assert [each.field for each in differences()] == ["order"]


def test_one_tenant_alone(passage: Callable[..., Passage], flow_of: Callable[..., Any], other_tenant: Tenant) -> None:
    mine = passage(waiting()).start()
    theirs = Passage(flow_of(waiting(), of=other_tenant), "ada").start()
    tampered("UPDATE flow_instances SET step_count = 9 WHERE id = %s", theirs.id)

    assert differences(mine.flow.tenant) == []
    assert [each.aggregate_id for each in differences(other_tenant)] == [str(theirs.id)]


def test_the_command(passage: Callable[..., Passage], capsys: pytest.CaptureFixture[str]) -> None:
    ada = passage(waiting()).start()
    told = io.StringIO()
    call_command("verify", stdout=told)
    assert told.getvalue() == "1 instances rebuilt from their events: no difference.\n"

    tampered("UPDATE flow_instances SET exit_reason = 'else' WHERE id = %s", ada.id)
    told = io.StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("verify", "--json", "--tenant", ada.flow.tenant.name, stdout=told)

    assert left.value.code == 1
    document = json.loads(told.getvalue())
    assert (document["checked"], document["found"]) == (1, 1)
    assert document["differences"][0] == {
        "aggregate_type": "instance",
        "aggregate_id": str(ada.id),
        "field": "exit_reason",
        "detail": "exit_reason is not what the events say.",
        "row": "else",
        "events": "",
    }


def test_the_command_knows_its_tenants(db: None) -> None:
    with pytest.raises(CommandError, match="There is no tenant nobody"):
        call_command("verify", "--tenant", "nobody")


def test_a_broken_token_is_reported(passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    append(ada, "wait_resolved", {"node": "pause", "by": "operator"})
    tampered("""UPDATE stored_events SET data = '{"node": "nowhere", "by": "timer"}' WHERE type = 'wait_resolved'""")

    assert [each.field for each in differences()] == ["illegal_event"]
