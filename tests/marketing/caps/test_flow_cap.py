"""A flow's own cap: at its entrance, and when its messages are about to go out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from engine import event_router, timers, triggers
from engine.errors import AlreadyInFlow, FrequencyCapExceeded
from engine.inbox import publish_event
from engine.models import InboundEvent
from flows.models import Flow
from marketing import departures
from marketing.deliveries import reading
from marketing.models import Delivery
from tenants.models import Tenant
from tests.engine.api.conftest import codes
from tests.marketing.caps.conftest import HELLO, capped
from tests.support.graphs import ENTRY
from tests.support.passage import Passage, run_until_idle

ONE_A_DAY = {"max_messages": 1, "time_window": "24h"}
Flows = Callable[..., Flow]


def sending(message_class: str = "marketing", sends: int = 1) -> dict[str, tuple[Any, ...]]:
    """So many messages, one right after the other, and the end."""
    names = [f"send{place}" for place in range(sends)]
    nodes: dict[str, tuple[Any, ...]] = {"entry": (*ENTRY, {None: names[0]}), "done": ("exit", {})}
    for name, following in zip(names, [*names[1:], "done"], strict=True):
        nodes[name] = ("send_email", HELLO | {"message_class": message_class}, {None: following})
    return nodes


def exceeded(tenant: Tenant) -> list[str]:
    """The nodes whose messages are held back."""
    ids = [str(each) for each in Delivery.objects.order_by("id").values_list("pk", flat=True)]
    found = departures.exceeded_many(str(tenant.pk), reading.read(str(tenant.pk), ids))
    return list(Delivery.objects.filter(pk__in=found).order_by("id").values_list("node_id", flat=True))


def test_whoever_has_got_enough_is_refused_until_a_place_is_free(flow_with: Flows, now: Any) -> None:
    flow = flow_with(sending(), frequency_cap=ONE_A_DAY)
    Passage(flow, "ada").start()
    now.advance(hours=10)

    with pytest.raises(FrequencyCapExceeded) as refused:
        triggers.start(flow, "ada")
    assert refused.value.retry_after == timedelta(hours=14).total_seconds()
    verdicts = triggers.start_many(flow, ["ada", "bob"])

    assert [each.refusal and each.refusal.code for each in verdicts] == ["frequency_cap_exceeded", None]
    now.advance(hours=14)
    assert triggers.start(flow, "ada").pk


def test_a_run_under_way_is_what_is_said_first(flow_with: Flows) -> None:
    flow = flow_with(capped({}), frequency_cap=ONE_A_DAY)
    Passage(flow, "ada").start()

    with pytest.raises(AlreadyInFlow):
        triggers.start(flow, "ada")


def test_over_rest_it_is_a_429_that_says_when_to_come_again(flow_with: Flows, api: Any, tenant: Tenant) -> None:
    flow = flow_with(sending(), frequency_cap=ONE_A_DAY | {"scope": "workspace"})
    other = flow_with(sending())
    assert api.post(f"/api/v1/flows/{other.pk}/trigger", {"participant_id": "ada"}).status_code == 201
    run_until_idle()

    answer = api.post(f"/api/v1/flows/{flow.pk}/trigger", {"participant_id": "ada"})
    many = api.post(f"/api/v1/flows/{flow.pk}/trigger", {"participant_ids": ["ada", "bob"]})

    assert (answer.status_code, codes(answer)) == (429, ["frequency_cap_exceeded"])
    assert answer.headers["Retry-After"] == "86400"
    assert "1 message within 1d" in answer.json()["errors"][0]["detail"]
    assert [each["code"] for each in many.json()["refused"]] == ["frequency_cap_exceeded"]


def test_an_event_that_starts_nothing_for_it_says_so(flow_with: Flows, tenant: Tenant) -> None:
    flow = flow_with(sending(), frequency_cap=ONE_A_DAY)
    Passage(flow, "ada").start()

    publish_event("ada", "signed_up", tenant=tenant, event_id="again")
    event_router.route()

    (effect,) = InboundEvent.objects.get(event_id="again").effects
    assert (effect["kind"], effect["code"]) == ("refused", "frequency_cap_exceeded")


def test_of_several_messages_at_once_the_first_goes_out(flow_with: Flows, tenant: Tenant, now: Any) -> None:
    Passage(flow_with(sending(sends=3), frequency_cap=ONE_A_DAY | {"max_messages": 2}), "ada").start()

    assert exceeded(tenant) == ["send2"]
    now.advance(hours=24, seconds=1)
    assert exceeded(tenant) == []


def test_a_message_that_a_cap_has_let_through_comes_before_those_queued_after_it(
    flow_with: Flows, tenant: Tenant, now: Any
) -> None:
    for flow in (
        flow_with(capped({"channel": "email"}, pause="1h")),
        flow_with(sending(), frequency_cap=ONE_A_DAY | {"scope": "workspace"}),
    ):
        triggers.start(flow, "ada")
    run_until_idle()
    assert exceeded(tenant) == ["send0"]

    now.advance(hours=1)
    timers.wake_due()
    run_until_idle()

    assert Delivery.objects.count() == 2
    assert exceeded(tenant) == ["send0"]


def test_what_was_skipped_or_goes_by_another_channel_does_not_count(flow_with: Flows, tenant: Tenant) -> None:
    Passage(flow_with(sending()), "ada").start()
    flow = flow_with(sending(), frequency_cap=ONE_A_DAY | {"scope": "workspace", "channel": "email"}, reentry="always")
    Delivery.objects.update(status="skipped", counted_at=None)

    Passage(flow, "ada").start()

    assert exceeded(tenant) == []
    Delivery.objects.filter(flow_id=flow.pk).update(channel="sms")
    assert triggers.start(flow, "ada").pk


def test_transactional_messages_count_and_are_never_held_back(flow_with: Flows, tenant: Tenant) -> None:
    flow = flow_with(sending("transactional", sends=2), frequency_cap=ONE_A_DAY)
    Passage(flow, "ada").start()

    assert exceeded(tenant) == []
    with pytest.raises(FrequencyCapExceeded):
        triggers.start(flow, "ada")
