"""The doors that messages knock at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import bells, event_router, tasks, triggers
from engine.inbox import publish_event
from engine.models import InboundEvent
from flows.models import Flow, FlowInstance
from tests.support.graphs import chain


@pytest.fixture
def backlog(flow_of: Callable[..., Flow], monkeypatch: pytest.MonkeyPatch) -> Flow:
    """A flow of which more is to be run than there is time for after events."""
    monkeypatch.setattr(tasks, "AFTER_EVENTS_S", 0.0)
    flow = flow_of(chain(1))
    triggers.start_many(flow, ["ada", "bob"])
    publish_event("eve", "replied", tenant=flow.tenant)
    return flow


@pytest.mark.django_db(transaction=True)
def test_whoever_routes_leaves_a_backlog_to_those_who_are_rung_for(backlog: Flow, rung: list[bells.Bell]) -> None:
    tasks.route()

    assert not InboundEvent.objects.filter(routed_at=None).exists()
    assert set(FlowInstance.objects.values_list("status", flat=True)) == {"running"}
    assert bells.Bell.ADVANCE in rung

    tasks.advance()

    assert set(FlowInstance.objects.values_list("status", flat=True)) == {"completed"}


@pytest.mark.django_db(transaction=True)
def test_events_that_are_still_to_be_routed_come_before_what_the_first_ones_left(
    backlog: Flow, rung: list[bells.Bell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AFTER_EVENTS_S", 60.0)
    monkeypatch.setattr(event_router, "is_waiting", lambda: True)

    tasks.route()

    assert set(FlowInstance.objects.values_list("status", flat=True)) == {"running"}
    assert bells.Bell.ADVANCE in rung
