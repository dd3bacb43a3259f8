"""Journeys as operators see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from flows.models import Flow, FlowInstance
from marketing import journeys
from marketing.models import Journey, Segment
from tenants.models import Tenant
from tests.marketing.journeys.conftest import BY_EVENT, BY_SEGMENT, settle
from tests.support.raw_counts import catch_up

LIST = "admin:marketing_journey_changelist"
ADD = "admin:marketing_journey_add"
CHANGE = "admin:marketing_journey_change"
DELETE = "admin:marketing_journey_delete"
PRESS = "admin:marketing_journey_press"


@pytest.fixture
def operator(client: Client, transactional_db: None) -> Client:
    client.force_login(User.objects.create_superuser("olga"))
    return client


def form(of: Flow, **facts: str) -> dict[str, str]:
    given = {
        "tenant": str(of.tenant_id),
        "flow": str(of.pk),
        "name": "Win back",
        "description": "",
        "tags": "q1,q2",
    }
    return {**given, "segment": "", "goal": "", "kind": "", "timezone": "", **facts}


def press(operator: Client, journey: Journey, button: str) -> str:
    return operator.post(reverse(PRESS, args=(journey.pk, button)), follow=True).content.decode()


def test_a_journey_is_made_launched_held_and_ended(
    operator: Client, flow_of: Callable[..., Flow], pros: Callable[..., Segment]
) -> None:
    pros(3)
    flow = flow_of(BY_SEGMENT)
    facts = {"segment": "pros", "goal": '{"name": "stayed"}', "kind": "cron", "cron": "0 9 * * MON"}
    assert operator.post(reverse(ADD), form(flow, **facts)).status_code == 302
    made = Journey.objects.select_related("schedule").get()
    assert (made.audience, made.goal, made.tags) == ({"segment": "pros"}, {"name": "stayed"}, ["q1", "q2"])
    assert made.schedule is not None
    assert (made.schedule.cron, made.schedule.enabled, made.schedule.timezone) == ("0 9 * * MON", False, "UTC")

    told = press(operator, made, "launch-with-all")
    assert "Win back is launched; a job lets 3 members of the audience in." in told
    settle()
    catch_up()
    assert "3 entered, 3 active, 0 completed, 0 converted" in (
        operator.get(reverse(CHANGE, args=(made.pk,))).content.decode()
    )
    flow.refresh_from_db()
    assert flow.active_version.graph["settings"]["goal"] == {"name": "stayed"}
    assert flow.active_version.published_by == "user:olga"
    assert "is paused, with its flow" in press(operator, made, "pause")
    assert "goes on" in press(operator, made, "resume")
    assert "takes no more entries" in press(operator, made, "archive")
    assert operator.get(reverse(CHANGE, args=(made.pk,))).status_code == 200
    done = LogEntry.objects.filter(object_id=str(made.pk)).order_by("pk").values_list("change_message", flat=True)
    assert [each for each in done if "added" not in each] == [
        "Launch, and let the audience in", "Pause", "Resume", "Archive",
    ]  # fmt: skip


def test_what_nobody_touched_is_left_as_it_is(
    operator: Client, journey: Callable[..., Journey], pros: Callable[..., Segment]
) -> None:
    pros()
    made = journey(BY_EVENT, audience={"segment": "pros"}, goal={"name": "stayed"}, description="why")
    page = operator.get(reverse(CHANGE, args=(made.pk,)))
    fields = page.context["adminform"].form
    sent = {name: fields.get_initial_for_field(field, name) for name, field in fields.fields.items()}
    sent = {name: value for name, value in sent.items() if value} | {
        "goal": '{"name": "stayed"}',
        "name": "New",
        "tags": "",
    }

    journeys.change(made, description="meanwhile")
    assert operator.post(reverse(CHANGE, args=(made.pk,)), {**sent, "description": "why"}).status_code == 302

    now = Journey.objects.get()
    assert (now.name, now.audience, now.goal) == ("New", {"segment": "pros"}, {"name": "stayed"})


MISTAKES: list[tuple[dict[str, str], str]] = [
    ({"name": ""}, "This field is required."),
    ({"segment": "nobody"}, "There is no segment `nobody`."),
    ({"goal": '{"name": "x", "window": "soon"}'}, "`goal.window`: "),
    ({"goal": "bought"}, "Enter a valid JSON."),
    ({"kind": "cron", "cron": "x"}, "A schedule lets the audience in: name one."),
    ({"segment": "pros", "kind": "cron", "cron": "x"}, "This is no cron expression"),
    ({"segment": "pros", "kind": "once"}, "A schedule of kind once needs at."),
    ({"launch_at_0": "2020-01-01", "launch_at_1": "12:00"}, "This time has passed."),
    ({"flow": "nonsense"}, "valid"),
    ({"tags": "a" * 65}, "at most 64 characters"),
]


def test_a_mistake_is_told_beside_its_field_and_nothing_is_kept(
    operator: Client, flow_of: Callable[..., Flow], pros: Callable[..., Segment]
) -> None:
    pros()
    flow = flow_of(BY_EVENT)
    for facts, told in MISTAKES:
        answer = operator.post(reverse(ADD), form(flow, **facts))

        assert answer.status_code == 200
        errors = [each for found in answer.context["adminform"].form.errors.values() for each in found]
        assert any(told in each for each in errors), (facts, errors)
    assert not Journey.objects.exists()


def test_a_flow_of_another_tenant_is_refused(
    operator: Client, flow_of: Callable[..., Flow], other_tenant: Tenant
) -> None:
    facts = form(flow_of(BY_EVENT)) | {"tenant": str(other_tenant.pk)}

    assert "another tenant" in operator.post(reverse(ADD), facts).content.decode()
    assert not Journey.objects.exists()


def test_a_launch_that_is_refused_says_why(operator: Client, journey: Callable[..., Journey]) -> None:
    wrong = {"nodes": [{"id": "in", "type": "event_entry", "config": {"event_type": "x"}}], "edges": []}
    made = journey(wrong)

    assert "Nothing follows `in`; add an edge." in press(operator, made, "launch")
    assert Journey.objects.get().status == "draft"


def test_only_drafts_are_deleted(operator: Client, journey: Callable[..., Journey]) -> None:
    made, kept = journey(), journey()
    journeys.launch(kept)

    assert operator.post(reverse(DELETE, args=(made.pk,)), {"post": "yes"}).status_code == 302
    assert operator.post(reverse(DELETE, args=(kept.pk,)), {"post": "yes"}).status_code == 403
    assert list(Journey.objects.all()) == [kept]
    protected = operator.post(reverse("admin:flows_flow_delete", args=(journey().flow_id,)), {"post": "yes"})
    assert protected.status_code in (200, 403)
    assert Flow.objects.count() == 3


def test_who_may_only_look_presses_nothing(
    client: Client, journey: Callable[..., Journey], pros: Callable[..., Segment]
) -> None:
    pros(7)
    made = journey(BY_SEGMENT)
    unfinished = journey({"nodes": [{"id": "in", "type": "segment_entry", "config": {}}], "edges": []})
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_journey"))
    client.force_login(viewer)

    page = client.get(reverse(CHANGE, args=(made.pk,))).content.decode()
    assert "Win back" in page
    assert "7 in pros" in page
    assert "Launch, and let" not in page
    assert client.get(reverse(CHANGE, args=(unfinished.pk,))).status_code == 200
    assert client.post(reverse(PRESS, args=(made.pk, "launch"))).status_code == 404


@pytest.mark.parametrize("by", ["who may only look", "an archive"])
def test_a_page_to_look_at_says_what_the_form_would(
    client: Client, operator: Client, journey: Callable[..., Journey], pros: Callable[..., Segment], by: str
) -> None:
    pros()
    planned = {"kind": "cron", "cron": "0 9 * * MON"}
    made = journey(BY_SEGMENT, audience={"segment": "pros"}, goal={"name": "stayed"}, schedule=planned)
    if by == "an archive":
        journeys.launch(made)
        journeys.archive(made)
    else:
        viewer = User.objects.create_user("vera", is_staff=True)
        viewer.user_permissions.add(Permission.objects.get(codename="view_journey"))
        client.force_login(viewer)

    page = client.get(reverse(CHANGE, args=(made.pk,)))

    shown = {
        each.field["name"]: str(each.contents())
        for fieldset in page.context["adminform"]
        for line in fieldset
        for each in line
    }
    assert shown["for_whom"] == "pros"
    assert "stayed" in shown["towards"]
    assert shown["rhythm"].startswith("kind: cron, cron: 0 9 * * MON")
    assert "None" not in shown.values()


def test_the_list_costs_the_same_for_one_and_for_many(operator: Client, journey: Callable[..., Journey]) -> None:
    counts: list[Any] = []
    for n in (1, 4):
        for _ in range(n):
            journeys.launch(journey())
        operator.get(reverse(LIST))
        with CaptureQueriesContext(connection) as asked:
            assert operator.get(reverse(LIST)).status_code == 200
        counts.append(len(asked))
    assert counts[0] == counts[1]
    assert not FlowInstance.objects.exists()


def test_a_new_one_is_asked_for_what_it_needs_and_offered_the_segments(
    operator: Client, pros: Callable[..., Segment]
) -> None:
    pros(1)

    shown = operator.get(reverse(ADD)).content.decode()

    assert '<datalist id="segment_slugs"><option value="pros"></datalist>' in shown
    assert "How it goes" not in shown
    assert ">null<" not in shown
