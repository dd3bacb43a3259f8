"""Starting flows by the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import schedules
from engine.models import FlowSchedule, StoredEvent
from flows import lifecycle
from flows.models import Flow, FlowInstance
from tenants.errors import Invalid
from tenants.models import Tenant
from tests.engine.conftest import NOON, FakeClock
from tests.engine.operating import in_parallel, waiting
from tests.support.races import held_by_somebody


@pytest.fixture(autouse=True)
def own_audiences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "_audiences", {})


@pytest.fixture
def flow(flow_of: Callable[..., Flow]) -> Flow:
    return flow_of(waiting(), name="scheduled")


def made(flow: Flow, **fields: Any) -> FlowSchedule:
    fields = {"participants": ["ada", "bob"], **fields}
    return schedules.save(FlowSchedule(tenant=flow.tenant, flow=flow, **fields))


def moments(schedule: FlowSchedule, after: datetime, count: int) -> list[str]:
    found = []
    for _ in range(count):
        after = schedules.next_moment(schedule, after)
        found.append(f"{after:%m-%d %H:%M}")
    return found


def test_cron_goes_by_the_wall_clock_of_its_zone() -> None:
    schedule = FlowSchedule(kind="cron", cron="30 9 * * *", timezone="Europe/Berlin")

    assert moments(schedule, datetime(2030, 3, 29, 12, tzinfo=UTC), 3) == ["03-30 08:30", "03-31 07:30", "04-01 07:30"]


def test_a_time_that_the_clocks_leave_out_or_repeat_comes_once() -> None:
    schedule = FlowSchedule(kind="cron", cron="30 2 * * *", timezone="Europe/Berlin")

    assert moments(schedule, datetime(2030, 3, 30, 12, tzinfo=UTC), 2) == ["03-31 01:00", "04-01 00:30"]
    assert moments(schedule, datetime(2030, 10, 26, 12, tzinfo=UTC), 2) == ["10-27 00:30", "10-28 01:30"]


def test_intervals_count_from_their_anchor() -> None:
    schedule = FlowSchedule(kind="interval", every="6h", at=datetime(2030, 1, 1, 3, tzinfo=UTC))

    assert moments(schedule, NOON, 2) == ["01-01 15:00", "01-01 21:00"]


@pytest.mark.parametrize(
    ("fields", "attr"),
    [
        ({"kind": "cron"}, "cron"),
        ({"kind": "cron", "cron": "61 * * * *"}, "cron"),
        ({"kind": "cron", "cron": "* * * * * *"}, "cron"),
        ({"kind": "cron", "cron": "0 0 30 2 *"}, "cron"),
        ({"kind": "cron", "cron": "0 9 * * *", "every": "1h"}, "every"),
        ({"kind": "cron", "cron": "0 9 * * *", "timezone": "GMT+2"}, "timezone"),
        ({"kind": "cron", "cron": "0 9 * * *", "timezone": "../etc"}, "timezone"),
        ({"kind": "interval", "every": "0s"}, "every"),
        ({"kind": "interval", "every": "soon"}, "every"),
        ({"kind": "once"}, "at"),
        ({"kind": "once", "at": NOON - timedelta(days=1)}, "at"),
        ({"kind": "interval", "every": "1h", "participants": []}, "participants"),
        ({"kind": "interval", "every": "1h", "participants": [], "audience": "nobody"}, "audience"),
    ],
)
def test_what_is_wrong_is_named(flow: Flow, fields: dict[str, Any], attr: str) -> None:
    with pytest.raises(Invalid) as refused:
        made(flow, **fields)

    assert [problem.attr for problem in refused.value.problems] == [attr]
    assert not FlowSchedule.objects.exists()


def test_once_starts_everybody_once(flow: Flow, now: FakeClock) -> None:
    schedule = made(flow, kind="once", at=NOON + timedelta(hours=1), context={"from": "schedule"})
    assert schedules.run_due() == 0

    now.advance(hours=1)
    assert schedules.run_due() == 1
    assert schedules.run_due() == 0

    schedule.refresh_from_db()
    assert schedule.last_result == {"started": 2, "refused": 0}
    assert (schedule.enabled, schedule.next_at, schedule.last_at) == (False, None, NOON + timedelta(hours=1))
    assert {each.participant_id for each in FlowInstance.objects.all()} == {"ada", "bob"}
    event = StoredEvent.objects.filter(type="flow_started").first()
    assert event.data["context"] == {"from": "schedule"}
    assert event.metadata["actor"] == "schedule"


def test_missed_moments_are_made_up_for_once(flow: Flow, now: FakeClock) -> None:
    schedule = made(flow, kind="interval", every="1h")
    now.advance(hours=10, minutes=20)

    assert schedules.run_due() == 1

    schedule.refresh_from_db()
    assert schedule.next_at == NOON + timedelta(hours=11)


def test_two_beats_start_it_once(flow: Flow, now: FakeClock) -> None:
    schedule = made(flow, kind="interval", every="1h")
    now.advance(hours=1)

    ran = in_parallel(*[schedules.run_due] * 3)

    assert sum(ran) == 1
    schedule.refresh_from_db()
    assert schedule.last_result == {"started": 2, "refused": 0}


def test_refusals_are_counted_by_reason(flow: Flow, now: FakeClock) -> None:
    schedule = made(flow, kind="interval", every="1h")
    flow.start("ada")
    now.advance(hours=1)
    schedules.run_due()

    schedule.refresh_from_db()
    assert schedule.last_result == {"started": 1, "refused": 1, "reasons": {"already_in_flow": 1}}

    lifecycle.pause(flow)
    now.advance(hours=1)
    schedules.run_due()

    schedule.refresh_from_db()
    assert schedule.last_result["reasons"] == {"flow_not_active": 2}


def test_an_audience_is_asked_when_the_time_has_come(flow: Flow, now: FakeClock) -> None:
    members = ["eve"]
    schedules.register_audience("members", lambda tenant: iter(members))
    made(flow, kind="interval", every="1h", participants=[], audience="members")
    members += ["zoe", "zoe"]
    now.advance(hours=1)

    schedules.run_due()

    assert sorted(each.participant_id for each in FlowInstance.objects.all()) == ["eve", "zoe"]


def test_one_that_fails_says_so_and_does_not_hold_up_the_others(flow: Flow, now: FakeClock) -> None:
    def broken(tenant: Any) -> Any:
        raise RuntimeError("no such table: \0")

    schedules.register_audience("broken", broken)
    bad = made(flow, kind="interval", every="1h", participants=[], audience="broken")
    good = made(flow, kind="interval", every="1h")
    now.advance(hours=1)

    assert schedules.run_due() == 2

    bad.refresh_from_db()
    good.refresh_from_db()
    assert bad.last_result["error"] == {"code": "error", "detail": "no such table: �"}
    assert bad.next_at == NOON + timedelta(hours=2)
    assert good.last_result["started"] == 2


def test_one_that_meets_a_lock_has_its_turn_later(flow: Flow, now: FakeClock) -> None:
    def locking(tenant: Tenant) -> list[str]:
        return [
            str(key) for key in Tenant.objects.select_for_update().filter(pk=tenant.pk).values_list("pk", flat=True)
        ]

    schedules.register_audience("locking", locking)
    held = made(flow, kind="once", at=NOON + timedelta(minutes=30), participants=[], audience="locking")
    free = made(flow, kind="interval", every="1h")
    now.advance(hours=1)

    with held_by_somebody("SELECT 1 FROM tenants WHERE id = %s FOR UPDATE", [flow.tenant_id]):
        assert schedules.run_due() == 1
    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.enabled, held.last_at, free.last_result["started"]) == (True, None, 2)

    assert schedules.run_due() == 1
    held.refresh_from_db()
    assert (held.enabled, held.last_result["started"]) == (False, 1)


def test_a_disabled_one_rests(flow: Flow, now: FakeClock) -> None:
    schedule = made(flow, kind="interval", every="1h")
    schedules.change(schedule, enabled=False)
    now.advance(hours=5)
    assert schedules.run_due() == 0

    changed = schedules.change(schedule, enabled=True, every="2h")

    assert changed.next_at == NOON + timedelta(hours=7)
