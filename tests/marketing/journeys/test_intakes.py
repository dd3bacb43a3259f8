"""Whoever is in the audience enters once: by the launch, by the event of the membership, or by the schedule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from engine import event_router, jobs, schedules
from engine.models import FlowSchedule, InboundEvent, Job, StoredEvent
from flows import lifecycle as flows
from flows.models import Flow, FlowInstance
from marketing import journeys
from marketing.customers import erasure
from marketing.journeys import intakes
from marketing.models import Customer, Intake, Journey, Segment
from marketing.segments import catalog, changes, due, evaluation
from tenants.errors import Invalid
from tenants.models import Tenant
from tests.engine.conftest import NOON, FakeClock
from tests.marketing.journeys.conftest import BY_EVENT, BY_SEGMENT, IS_PRO, WAITING, settle
from tests.support.graphs import graph
from tests.support.passage import run_until_idle
from tests.support.soundness import assert_all_sound

AT_ONCE = graph({"in": ("segment_entry", {"segment_id": "pros"}, {None: "end"}), "end": ("exit", {})})


def entries() -> Counter[str]:
    """How often each participant has entered."""
    return Counter(FlowInstance.objects.values_list("participant_id", flat=True))


def become(customer: Customer, plan: str) -> None:
    customer.properties = {"plan": plan}
    customer.save(update_fields=["properties"])
    changes.note(customer.tenant_id, [customer.external_id], {"fields": ["plan"]})


def test_the_whole_way_of_an_audience(
    pros: Callable[..., Segment],
    journey: Callable[..., Journey],
    customer: Callable[..., Customer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intakes, "BATCH", 200)
    segment = pros(500)
    raw = {**BY_SEGMENT, "settings": {"exit_criteria": {"on_segment_exit": "pros", "when": "immediately"}}}
    launch = journeys.launch(journey(raw, audience={"segment": "pros"}), include_existing=True, by="user:ada")
    settle()

    assert entries() == {f"c{n:03}": 1 for n in range(500)}
    assert launch.job is not None
    launch.job.refresh_from_db()
    job = launch.job
    assert (job.status, job.matched, job.done, job.succeeded, job.actor) == ("completed", 500, 500, 500, "user:ada")
    assert not Intake.objects.exists()
    started = StoredEvent.objects.filter(type="flow_started").latest("position")
    assert started.data["context"] == {"segment_id": "pros", "segment_key": str(segment.pk), "name": "pros"}
    assert started.metadata["actor"] == "user:ada"

    become(customer("new", properties={"plan": "free"}), "pro")
    settle()
    assert entries()["new"] == 1

    become(Customer.objects.get(external_id="c007"), "free")
    settle()
    left = FlowInstance.objects.get(participant_id="c007")
    assert (left.status, left.exit_reason) == ("exited", "exit_criteria")
    assert FlowInstance.objects.filter(status="waiting").count() == 500
    assert_all_sound()


@pytest.mark.parametrize("routed_first", [True, False])
def test_a_membership_whose_event_is_on_its_way_enters_once(
    pros: Callable[..., Segment],
    journey: Callable[..., Journey],
    customer: Callable[..., Customer],
    *,
    routed_first: bool,
) -> None:
    pros(2)
    become(customer("new", properties={"plan": "free"}), "pro")
    due.run(5.0)
    assert InboundEvent.objects.filter(routed_at=None).count() == 1
    launched = journeys.launch(journey(AT_ONCE), include_existing=True)

    if routed_first:
        event_router.route(slice_s=5.0)
        run_until_idle()
    while intakes.let_some_in():
        run_until_idle()
    assert (Job.objects.get(pk=launched.job.pk).status == "completed") is routed_first
    settle()

    assert entries() == {"c000": 1, "c001": 1, "new": 1}
    assert Job.objects.get(pk=launched.job.pk).status == "completed"


def test_a_segment_that_is_being_made_is_waited_for(
    tenant: Tenant, journey: Callable[..., Journey], customer: Callable[..., Customer]
) -> None:
    customer("ada", properties={"plan": "pro"})
    catalog.create(tenant, {"slug": "pros", "rule": IS_PRO})
    launched = journeys.launch(journey(BY_SEGMENT), include_existing=True)
    assert not intakes.is_due()

    settle()

    assert entries() == {"ada": 1}
    assert Job.objects.get(pk=launched.job.pk).matched == 1


def test_a_pause_holds_the_intake_and_an_archive_ends_it(
    pros: Callable[..., Segment], journey: Callable[..., Journey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "BATCH", 2)
    pros(6)
    made = journey(BY_SEGMENT)
    launched = journeys.launch(made, include_existing=True)
    assert intakes.let_some_in()

    journeys.pause(made)
    assert not intakes.is_due()
    assert not intakes.let_some_in()
    journeys.resume(made)
    assert intakes.let_some_in()
    journeys.archive(made)
    settle()

    job = Job.objects.get(pk=launched.job.pk)
    assert (job.status, job.done, FlowInstance.objects.count()) == ("cancelled", 4, 4)
    assert not Intake.objects.exists()


def test_a_cancelled_job_lets_nobody_more_in(
    pros: Callable[..., Segment], journey: Callable[..., Journey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intakes, "BATCH", 2)
    pros(6)
    launched = journeys.launch(journey(BY_SEGMENT), include_existing=True)
    intakes.let_some_in()

    jobs.cancel(launched.job)
    settle()

    assert FlowInstance.objects.count() == 2
    assert not Intake.objects.exists()


def test_an_intake_without_its_segment_says_so(pros: Callable[..., Segment], journey: Callable[..., Journey]) -> None:
    segment = pros(2)
    launched = journeys.launch(journey(BY_SEGMENT), include_existing=True)
    segment.delete()
    settle()

    job = Job.objects.get(pk=launched.job.pk)
    assert (job.status, job.errors[0]["detail"]) == ("failed", "The segment is gone.")


def test_the_graphs_backfill_decides_where_the_launch_does_not_and_paces_it(
    pros: Callable[..., Segment], journey: Callable[..., Journey], now: FakeClock
) -> None:
    pros(5)
    paced = {**BY_SEGMENT, "settings": {"backfill": {"mode": "all", "rate_per_minute": 2}}}
    assert journeys.launch(journey(paced), include_existing=False).job is None
    launched = journeys.launch(journey(paced))

    settle()
    assert FlowInstance.objects.count() == 2
    now.advance(minutes=1)
    settle()
    assert FlowInstance.objects.count() == 4
    now.advance(minutes=1)
    settle()
    assert FlowInstance.objects.count() == 5
    assert Job.objects.get(pk=launched.job.pk).status == "completed"


def test_refusals_are_told_by_participant(pros: Callable[..., Segment], journey: Callable[..., Journey]) -> None:
    pros(2)
    made = journey(BY_SEGMENT)
    flows.activate(made.flow)
    Flow.objects.get(pk=made.flow_id).start("c001")
    run_until_idle()
    FlowInstance.objects.update(entered_at=NOON - timedelta(hours=1))

    launched = journeys.launch(made, include_existing=True)
    settle()

    job = Job.objects.get(pk=launched.job.pk)
    assert (job.done, job.succeeded, job.refused) == (2, 1, 1)
    assert [(each["participant_id"], each["code"]) for each in job.errors] == [("c001", "already_in_flow")]

    erasure.request(made.tenant, "c001")
    while erasure.erase_one():
        pass
    job.refresh_from_db()
    assert job.errors[0]["participant_id"] == erasure.pseudonym_of(made.tenant_id, "c001")


def test_nobody_enters_where_nobody_is_named(journey: Callable[..., Journey]) -> None:
    with pytest.raises(Invalid) as refused:
        journeys.launch(journey(BY_EVENT), include_existing=True)

    assert [problem.attr for problem in refused.value.problems] == ["audience"]
    assert not FlowInstance.objects.exists()


def test_a_schedule_lets_the_audience_of_the_moment_in_each_time(
    pros: Callable[..., Segment], journey: Callable[..., Journey], customer: Callable[..., Customer], now: FakeClock
) -> None:
    pros(2)
    daily = {"kind": "interval", "every": "1d", "context": {"why": "daily"}}
    made = journey(graph({"in": ("event_entry", {"event_type": "x"}, {None: "end"}), "end": ("exit", {})}),
                   audience={"segment": "pros"}, schedule=daily)  # fmt: skip
    now.advance(days=1)
    settle()
    assert not entries()

    journeys.launch(made)
    now.advance(days=1)
    settle()
    assert entries() == {"c000": 1, "c001": 1}
    assert FlowInstance.objects.earliest("pk").context["entry"]["why"] == "daily"

    become(customer("new"), "pro")
    settle()
    now.advance(days=1)
    settle()
    assert entries() == {"c000": 2, "c001": 2, "new": 1}
    schedule = FlowSchedule.objects.get()
    assert schedule.last_result["matched"] == 3

    journeys.pause(made)
    now.advance(days=1)
    settle()
    schedule.refresh_from_db()
    assert schedule.last_result["error"]["code"] == "flow_not_active"
    journeys.resume(made)
    journeys.archive(made)
    schedule.refresh_from_db()
    assert (schedule.enabled, entries().total()) == (False, 5)


def test_a_schedule_of_a_flow_names_a_segment(
    tenant: Tenant, pros: Callable[..., Segment], flow_of: Callable[..., Flow], now: FakeClock
) -> None:
    pros(2)
    raw = graph({"in": ("event_entry", {"event_type": "x"}, {None: "wait"}), **WAITING})
    schedules.save(FlowSchedule(tenant=tenant, flow=flow_of(raw), kind="once", at=NOON + timedelta(1), audience="pros"))

    now.advance(days=1)
    settle()

    assert entries() == {"c000": 1, "c001": 1}


def test_a_moment_that_has_passed_keeps_the_launch_from_going_wrong_in_silence(
    pros: Callable[..., Segment], journey: Callable[..., Journey], now: FakeClock
) -> None:
    pros()
    made = journey(audience={"segment": "pros"}, schedule={"kind": "once", "at": NOON + timedelta(hours=1)})
    now.advance(hours=2)

    with pytest.raises(Invalid) as refused:
        journeys.launch(made)

    assert [problem.attr for problem in refused.value.problems] == ["schedule.at"]
    assert Journey.objects.get().status == "draft"


def test_a_batch_costs_the_same_for_few_and_for_many(
    pros: Callable[..., Segment], journey: Callable[..., Journey], monkeypatch: pytest.MonkeyPatch
) -> None:
    pros(60)
    journeys.launch(journey(BY_SEGMENT), include_existing=True)
    counts: list[Any] = []
    for size in (5, 5, 50):
        monkeypatch.setattr(intakes, "BATCH", size)
        with CaptureQueriesContext(connection) as asked:
            assert intakes.let_some_in()
        counts.append(len(asked))

    assert counts[1] == counts[2]
    assert FlowInstance.objects.count() == 60


def test_runs_are_looked_up_by_participant_also_where_tables_have_no_statistics(
    pros: Callable[..., Segment], journey: Callable[..., Journey]
) -> None:
    segment, made = pros(3), journey(BY_SEGMENT)
    asked = {
        "tenant": segment.tenant_id, "flow": made.flow_id, "segment": segment.pk, "names": ["pros"], "at": NOON,
        "after": evaluation.FIRST, "limit": 10,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        # New files have no statistics, and nobody analyses them before the end.
        cursor.execute("TRUNCATE flow_instances, inbound_events CASCADE")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {intakes.MEMBERS}", asked)
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "using instance_by_participant on flow_instances" in plan, plan
    assert "on inbound_events" in plan
    assert "Seq Scan" not in plan
