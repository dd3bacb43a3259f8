"""Members, counts and events agree, whoever evaluates beside whom, and whenever one dies."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from engine import clock
from engine.connections import execute
from engine.models import InboundEvent
from marketing.models import Customer, Segment, SegmentDue
from marketing.segments import catalog, due
from tenants.models import Tenant
from tests.marketing.segments.test_evaluation import change, members, settle
from tests.support import processes
from tests.support.processes import wait_for
from tests.support.races import at_once

IS_PRO = {"path": "participant.plan", "op": "eq", "value": "pro"}
MANY = 60_000
MAKE_MANY = """
    INSERT INTO customers (id, tenant_id, external_id, email, phone, name, timezone, locale, properties, tags,
                           preferences, state, merged_into, created_at, updated_at)
    SELECT gen_random_uuid(), %s, 'c' || n, '', '', '', '', '',
           jsonb_build_object('plan', CASE WHEN n %% 2 = 0 THEN 'pro' ELSE 'free' END), '{}', '{}', 'active', '', %s, %s
      FROM generate_series(1, %s) AS n
"""
EVALUATE = "import django; django.setup(); from marketing.segments import due; due.run(60.0)"


def test_evaluators_beside_each_other_and_beside_changes_agree_with_the_profiles(
    tenant: Tenant, customer: Callable[..., Customer]
) -> None:
    for number in range(8):
        customer(f"c{number}")
    pros = catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    settle()

    def write(seed: int) -> None:
        chance = Random(seed)
        for _ in range(40):
            one = Customer.objects.get(external_id=f"c{chance.randrange(4) * 2 + seed}")
            change(one, plan=chance.choice(["pro", "free"]))

    def evaluate() -> None:
        for _ in range(40):
            due.run(0.05)
            due.ask_for_all(pros)

    at_once([lambda: write(0), lambda: write(1), evaluate, evaluate])
    settle()

    pros.refresh_from_db()
    expected = set(Customer.objects.filter(properties__plan="pro").values_list("external_id", flat=True))
    assert members(pros) == expected
    assert pros.member_count == len(expected)
    agree_with_events(expected)


# Of each participant: entered, left, entered …, and the last one says where they are.
def agree_with_events(expected: set[str]) -> None:
    told: dict[str, list[str]] = defaultdict(list)
    kinds = ("segment.entered", "segment.left")
    for event in InboundEvent.objects.filter(event_type__in=kinds).order_by("id"):
        told[event.participant_id].append(event.event_type)
    for participant, events in told.items():
        assert events == [kinds[place % 2] for place in range(len(events))]
        assert (events[-1] == "segment.entered") == (participant in expected)
    assert expected <= told.keys()


@pytest.mark.processes
def test_an_evaluation_that_is_killed_goes_on_where_it_was(
    tenant: Tenant, process_environment: dict[str, str], tmp_path: Path
) -> None:
    now = clock.now()
    execute(MAKE_MANY, [tenant.pk, now, now, MANY])
    pros = catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    SegmentDue.objects.update(due_at="2020-01-01T00:00:00Z")
    env = process_environment | {"DJANGO_SETTINGS_MODULE": "kalcifer.settings"}

    with processes.running(sys.executable, "-c", EVALUATE, env=env, log=tmp_path / "log"):
        wait_for(lambda: Segment.objects.get(pk=pros.pk).member_count, seconds=60, what="the first stretch")
    pros.refresh_from_db()
    assert pros.member_count == pros.members.count()
    # The dead one's session holds its locks until the server misses it.
    wait_for(lambda: due.run(5.0) >= 0 and Segment.objects.get(pk=pros.pk).evaluated_at, seconds=60)

    pros.refresh_from_db()
    assert (pros.member_count, pros.members.count()) == (MANY // 2, MANY // 2)
    assert not InboundEvent.objects.exists()
