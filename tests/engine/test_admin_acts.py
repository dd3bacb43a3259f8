"""What operators do on the pages of the engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client

from engine.models import (
    Activity,
    FlowSchedule,
    Job,
    StoredEvent,
)
from flows.models import Flow, FlowInstance
from tenants.models import Tenant
from tests.engine.conftest import NOON
from tests.engine.operating import breaking, for_event, waiting
from tests.engine.test_admin import MODELS, _counted, looker, nodes, operator, page, parked, told, world
from tests.support.passage import Passage

__all__ = ["looker", "nodes", "operator", "world"]


def press(client: Client, row: Any, verb: str, text: str = "") -> Any:
    return client.post(page(type(row), row.pk, verb, of="press"), {"text": text}, follow=True)


def test_an_instance_page_tells_why_its_story_and_its_log(operator: Client, passage: Callable[..., Passage]) -> None:
    ada = passage(for_event()).start()

    shown = operator.get(page(FlowInstance, ada.id, of="change")).content.decode()

    assert "At node “ear” it waits since 2030-01-01 12:00 UTC for the event “clicked”" in shown
    assert "Waiting for “clicked”" in shown
    assert "wait_started" in shown
    assert f"{page(StoredEvent)}?q={ada.id}" in shown


def test_what_people_wrote_is_text_on_the_page(operator: Client, passage: Callable[..., Passage]) -> None:
    ada = passage(waiting(), "<script>alert(1)</script>").start(context={"x": "<script>alert(2)</script> {0}"})

    shown = operator.get(page(FlowInstance, ada.id, of="change")).content.decode()

    assert "<script>alert" not in shown


def test_an_instance_page_takes_the_same_statements_however_long_its_log(
    operator: Client, passage: Callable[..., Passage], django_assert_num_queries: Any
) -> None:
    ada = passage(waiting()).start()
    address = page(FlowInstance, ada.id, of="change")
    operator.get(address)
    with _counted() as counted:
        operator.get(address)
    first = len(counted)
    for _ in range(4):
        press(operator, ada.instance, "pause")
        press(operator, ada.instance, "resume")
    operator.get(address)

    with django_assert_num_queries(first):
        operator.get(address)
    assert first <= 20


def test_the_verbs_of_an_instance(operator: Client, passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()

    def verbs() -> list[str]:
        return [label for label, *_ in operator.get(page(FlowInstance, ada.id, of="change")).context["buttons"]]

    assert verbs() == ["Pause", "Cancel"]
    press(operator, ada.instance, "pause", "looking \0 into it")
    assert (ada.status, verbs()) == ("paused", ["Resume", "Cancel"])
    press(operator, ada.instance, "resume")
    assert ada.status == "waiting"
    press(operator, ada.instance, "cancel", "asked by phone")
    assert (ada.status, verbs()) == ("exited", ["Roll back"])

    paused, *_, ended = ada.events[-3:]
    assert (paused.data["reason"], paused.metadata["actor"]) == ("looking  into it", "user:ada")
    assert (ended.data["detail"], ended.metadata["actor"]) == ("asked by phone", "user:ada")
    assert LogEntry.objects.filter(object_id=str(ada.id)).count() == 3
    assert "left its" not in " ".join(told(press(operator, ada.instance, "cancel")))
    assert LogEntry.objects.filter(object_id=str(ada.id)).count() == 3


def test_a_failed_instance_is_rolled_back(operator: Client, passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()

    press(operator, ada.instance, "roll-back", "asked by phone")

    assert (ada.status, ada.events[-2].type, ada.events[-2].metadata["actor"]) == (
        "compensated",
        "compensation_started",
        "user:ada",
    )
    shown = operator.get(page(FlowInstance, ada.id, of="change")).content.decode()
    assert "The roll-back begins as an operator asked (asked by phone)" in shown


def test_a_failed_instance_is_retried(operator: Client, passage: Callable[..., Passage]) -> None:
    ada = passage(breaking()).start()
    assert ada.status == "failed"

    press(operator, ada.instance, "retry")

    assert (ada.status, ada.events[-1].type) == ("running", "retried")


def test_many_are_cancelled_at_once(operator: Client, passage: Callable[..., Passage]) -> None:
    runs = [passage(waiting(), each).start() for each in ("ada", "bob")]
    over = passage(breaking(), "eve").start()
    chosen = [run.id for run in (*runs, over)]

    answer = operator.post(
        page(FlowInstance), {"action": "cancel", "_selected_action": chosen, "reason": "mistake"}, follow=True
    )

    assert [run.status for run in runs] == ["exited", "exited"]
    assert {run.events[-1].data["detail"] for run in runs} == {"mistake"}
    assert {run.events[-1].metadata["actor"] for run in runs} == {"user:ada"}
    assert "Done: cancel, 2 of 3." in told(answer)
    assert any(str(over.id) in each for each in told(answer))
    assert LogEntry.objects.count() == 2


def test_all_that_match_become_a_job(
    operator: Client, passage: Callable[..., Passage], flow_of: Any, other_tenant: Tenant
) -> None:
    mine = passage(waiting()).start()
    Passage(flow_of(waiting(), of=other_tenant), "bob").start()

    operator.post(
        page(FlowInstance),
        {"action": "pause", "_selected_action": [mine.id], "select_across": "1", "index": "0", "reason": "r"},
    )

    found = {(job.tenant.name, job.kind, job.action, job.matched) for job in Job.objects.select_related("tenant")}
    assert found == {("Acme", "instances", "pause", 1), ("Other", "instances", "pause", 1)}
    assert {job.actor for job in Job.objects.all()} == {"user:ada"}
    assert {job.params["reason"] for job in Job.objects.all()} == {"r"}


# --- side effects ---


@pytest.mark.parametrize(("verb", "status"), [("retry", "pending"), ("complete", "completed"), ("fail", "failed")])
def test_a_parked_side_effect(operator: Client, passage: Callable[..., Passage], verb: str, status: str) -> None:
    (activity,) = parked(passage, "ada")
    shown = operator.get(page(Activity, activity.pk, of="change"))
    assert [label for label, *_ in shown.context["buttons"]] == ["Retry", "Complete", "Fail"]

    press(operator, activity, verb)

    activity.refresh_from_db()
    assert activity.status == status
    assert LogEntry.objects.get().object_id == str(activity.pk)
    if verb != "retry":
        event = StoredEvent.objects.filter(aggregate_id=activity.instance_id).latest("sequence")
        assert event.metadata["actor"] == "user:ada"


def test_a_side_effect_is_completed_with_a_result(operator: Client, passage: Callable[..., Passage]) -> None:
    (activity,) = parked(passage, "ada")
    for wrong in ("[1]", "{", '{"a": "\\u0000"}', "3"):
        assert "must be a JSON object" in " ".join(told(press(operator, activity, "complete", wrong)))

    press(operator, activity, "complete", '{"sent": true}')

    activity.refresh_from_db()
    assert activity.result == {"result": {"sent": True}, "branch": None}


@pytest.mark.parametrize(("verb", "status"), [("retry", "pending"), ("complete", "completed"), ("fail", "failed")])
def test_many_side_effects(operator: Client, passage: Callable[..., Passage], verb: str, status: str) -> None:
    chosen = parked(passage, "ada", "bob")

    operator.post(page(Activity), {"action": verb, "_selected_action": [each.pk for each in chosen], "reason": "no"})

    assert {each.status for each in Activity.objects.all()} == {status}
    assert LogEntry.objects.count() == 2


# --- who may ---


def test_who_may_only_look_sees_everything_and_does_nothing(
    looker: Client, world: Callable[[int], None], passage: Callable[..., Passage]
) -> None:
    world(1)
    (activity,) = parked(passage, "ada")
    instance = FlowInstance.objects.get(pk=activity.instance_id)

    for model in MODELS:
        assert looker.get(page(model)).status_code == 200
    for row, verb in ((instance, "cancel"), (activity, "retry")):
        shown = looker.get(page(type(row), row.pk, of="change"))
        assert (shown.status_code, shown.context["buttons"]) == (200, [])
        assert looker.post(page(type(row), row.pk, verb, of="press")).status_code == 404
        looker.post(page(type(row)), {"action": verb, "_selected_action": [row.pk]})
    schedule = FlowSchedule.objects.get()
    assert looker.post(page(FlowSchedule, schedule.pk, of="change"), {"cron": "1 1 * * *"}).status_code == 403
    activity.refresh_from_db()
    instance.refresh_from_db()
    assert (activity.status, instance.status) == ("parked", "waiting")
    assert not LogEntry.objects.exists()


def test_staff_without_permissions_and_strangers_see_nothing(client: Client, passage: Callable[..., Passage]) -> None:
    ada = passage(waiting()).start()
    assert client.get(page(Activity)).status_code == 302
    client.force_login(get_user_model().objects.create_user("eve", is_staff=True))

    for model in (*MODELS, FlowInstance):
        assert client.get(page(model)).status_code == 403
    assert client.post(page(FlowInstance, ada.id, "cancel", of="press")).status_code in {403, 404}
    assert ada.status == "waiting"


# --- schedules ---


def form(of: Flow, /, **changes: Any) -> dict[str, Any]:
    given = {
        "flow": of.pk,
        "kind": "cron",
        "cron": "0 9 * * *",
        "every": "",
        "at_0": "",
        "at_1": "",
        "timezone": "Europe/Berlin",
        "participants": '["ada"]',
        "audience": "",
        "context": "{}",
        "enabled": "on",
    }
    return {name: value for name, value in (given | changes).items() if value is not None}


def test_a_schedule_is_planned_when_it_is_added_and_changed(operator: Client, flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(waiting())

    operator.post(page(FlowSchedule, of="add"), form(flow))
    schedule = FlowSchedule.objects.get()
    assert (schedule.tenant_id, schedule.next_at) == (flow.tenant_id, datetime(2030, 1, 2, 8, tzinfo=UTC))
    operator.post(page(FlowSchedule, schedule.pk, of="change"), form(flow, cron="30 9 * * *"))
    schedule.refresh_from_db()
    assert schedule.next_at == datetime(2030, 1, 2, 8, 30, tzinfo=UTC)
    operator.post(page(FlowSchedule, schedule.pk, of="change"), form(flow, enabled=None))
    schedule.refresh_from_db()
    assert (schedule.enabled, schedule.next_at) == (False, None)
    assert LogEntry.objects.count() == 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cron": "every day"}, "cron"),
        ({"cron": ""}, "cron"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"participants": "[]"}, "participants"),
        ({"participants": "[1]"}, "participants"),
        ({"participants": "{"}, "participants"),
        ({"participants": '{"a": 1}'}, "participants"),
        ({"participants": '["a\\u0000"]'}, None),
        ({"context": "[1]"}, "context"),
        ({"audience": "nobody", "participants": "[]"}, "audience"),
        ({"kind": "interval", "cron": "", "every": "soon"}, "every"),
        ({"kind": "once", "cron": "", "at_0": "2029-01-01", "at_1": "00:00"}, "at"),
        ({"flow": "nonsense"}, "flow"),
        ({"kind": "never"}, "kind"),
    ],
)
def test_a_schedule_that_is_wrong_is_told_beside_its_field(
    operator: Client, flow_of: Callable[..., Flow], changes: dict[str, Any], field: str | None
) -> None:
    answer = operator.post(page(FlowSchedule, of="add"), form(flow_of(waiting()), **changes))

    assert answer.status_code == 200
    assert (field or "__all__") in answer.context["adminform"].form.errors
    assert not FlowSchedule.objects.exists()


def test_an_open_page_does_not_undo_a_start(operator: Client, flow_of: Callable[..., Flow], now: Any) -> None:
    flow = flow_of(waiting())
    operator.post(page(FlowSchedule, of="add"), form(flow))
    schedule = FlowSchedule.objects.get()
    FlowSchedule.objects.update(last_at=NOON, last_result={"started": 1})
    now.advance(days=1)

    operator.post(page(FlowSchedule, schedule.pk, of="change"), form(flow))

    schedule.refresh_from_db()
    assert (schedule.last_at, schedule.last_result) == (NOON, {"started": 1})
    assert schedule.next_at == datetime(2030, 1, 3, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"started": 3, "refused": 1}, "3 started, 1 refused"),
        ({"started": 0, "error": {"code": "x", "detail": "There is no audience named vips."}}, "named vips."),
    ],
)
def test_the_list_says_what_the_last_time_led_to(
    operator: Client, flow_of: Callable[..., Flow], result: Any, told: str
) -> None:
    operator.post(page(FlowSchedule, of="add"), form(flow_of(waiting())))
    FlowSchedule.objects.update(last_at=NOON, last_result=result)

    assert told in operator.get(page(FlowSchedule)).content.decode()
