"""Projections and statistics as operators see them, and what they do about one that has stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from engine import triggers
from engine.admin.statistics import lasting
from engine.analytics.flow_statistics import FlowStatistics
from engine.analytics.node_statistics import NodeStatistics
from engine.bells import Bell
from engine.models import ProjectionCheckpoint, ProjectionSkip
from engine.projections import registry, rounds
from flows.models import Flow
from tests.engine.projections.conftest import MENDED, Witness
from tests.support.graphs import chain
from tests.support.passage import run_until_idle
from tests.support.raw_counts import catch_up

Append = Callable[..., list[str]]
Seen = Callable[..., list[str]]


@pytest.fixture
def operator(client: Client, transactional_db: None) -> Client:
    client.force_login(get_user_model().objects.create_superuser("ada"))
    return client


@pytest.fixture
def stopped(append: Append, seen: Seen, witness: Witness) -> tuple[Any, list[str]]:
    ids = append(3) + append(poison=True) + append(2)
    rounds.run()
    return ProjectionCheckpoint.objects.get(), ids


def page(row: Any) -> str:
    return reverse("admin:engine_projectioncheckpoint_change", args=(row.pk,))


def press(operator: Client, row: Any, button: str, text: str = "") -> Any:
    address = reverse("admin:engine_projectioncheckpoint_press", args=(row.pk, button))
    return operator.post(address, {"text": text}, follow=True)


def labels(operator: Client, row: Any) -> list[str]:
    return [label for label, *_ in operator.get(page(row)).context["buttons"]]


def test_the_page_tells_where_and_why_it_stopped(operator: Client, stopped: tuple[Any, list[str]]) -> None:
    row, ids = stopped
    shown = operator.get(page(row)).content.decode()
    listed = operator.get(reverse("admin:engine_projectioncheckpoint_changelist")).content.decode()

    assert f"{ids[3]} is poison" in shown
    assert '<td class="field-lag_events">3</td>' in listed
    assert labels(operator, row) == ["Retry", "Skip the event", "Rebuild"]


def test_skip_goes_on_and_leaves_a_record(
    operator: Client, seen: Seen, stopped: tuple[Any, list[str]], rung: list[Bell]
) -> None:
    row, ids = stopped

    press(operator, row, "skip", "a test order")

    assert Bell.PROJECT in rung
    rounds.run()
    assert seen() == ids[:3] + ids[4:]
    record = ProjectionSkip.objects.get()
    assert (record.actor, record.reason, str(record.event_id)) == ("user:ada", "a test order", ids[3])
    assert LogEntry.objects.filter(object_id=str(row.pk)).exists()
    assert labels(operator, row) == ["Rebuild"]
    told = operator.get(reverse("admin:engine_projectionskip_change", args=(record.pk,))).content.decode()
    assert "a test order" in told


def test_retry_tries_at_once(operator: Client, seen: Seen, stopped: tuple[Any, list[str]]) -> None:
    row, ids = stopped
    MENDED.add(ids[3])

    press(operator, row, "retry")
    rounds.run()

    assert seen() == ids


def test_rebuild_is_carried_on_by_workers(operator: Client, append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(5)
    rounds.run()

    press(operator, ProjectionCheckpoint.objects.get(), "rebuild")
    while rounds.is_behind():
        rounds.run()

    assert (ProjectionCheckpoint.objects.get().build, seen()) == (2, ids)


def test_what_cannot_be_done_is_told(operator: Client, stopped: tuple[Any, list[str]]) -> None:
    row, _ = stopped
    registry.unregister("witness")

    refused = press(operator, row, "rebuild")

    assert "No projection is called" in " ".join(str(each) for each in refused.context["messages"])


def test_who_may_only_look_does_nothing(stopped: tuple[Any, list[str]]) -> None:
    row, _ = stopped
    user = get_user_model().objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    looker = Client()
    looker.force_login(user)

    assert labels(looker, row) == []
    assert press(looker, row, "skip").status_code == 404
    assert not ProjectionSkip.objects.exists()


def test_the_page_of_a_flow_shows_its_figures(operator: Client, flow_of: Callable[..., Flow]) -> None:
    registry.register(FlowStatistics)
    registry.register(NodeStatistics)
    flow = flow_of(chain(2))
    for name in ("ada", "bob"):
        triggers.start(flow, name)
    run_until_idle()
    catch_up()

    shown = operator.get(reverse("admin:flows_flow_change", args=(flow.pk,))).content.decode()

    assert "<td>n0</td><td>2 (100.0 %)</td><td>2</td><td>2</td><td>0</td><td>0</td><td>true: 2</td>" in shown
    assert "Of 2 who entered, 0 reached a goal: 0.0 %" in shown
    assert operator.get(reverse("admin:flows_flow_add")).status_code == 200


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0, "0 s"), (12.5, "12.5 s"), (90.0, "1.5 min"), (7200.0, "2.0 h"), (774_303.0, "9.0 d")]
)
def test_times_are_told_in_units_that_people_use(seconds: float, told: str) -> None:
    assert lasting(seconds) == told
