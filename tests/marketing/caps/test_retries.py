"""A failed run gives back what its cap had let through; when it is retried, its message counts, and is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import clock, event_router, operations
from flows.models import Flow
from marketing.channels.provider import Accepted, Permanent
from marketing.models import CapSlot, Customer, Delivery
from tenants.models import Tenant
from tests.marketing.caps.conftest import HELLO, capped
from tests.marketing.deliveries.conftest import Post, hand_over, post
from tests.support.graphs import ENTRY
from tests.support.passage import Passage, run_until_idle

__all__ = ["post"]

Flows = Callable[..., Flow]
ONE = {"channel": "email", "max_messages": 1, "time_window": "3d"}


@pytest.fixture
def ada(tenant: Tenant) -> Customer:
    at = clock.now()
    return Customer.objects.create(
        tenant=tenant, external_id="ada", email="ada@example.com", created_at=at, updated_at=at
    )


def tagged(cap: dict[str, Any] = ONE) -> dict[str, Any]:
    """A cap, a node that fails while Ada has no name, a message."""
    return {
        "entry": (*ENTRY, {None: "cap"}),
        "cap": ("frequency_cap", cap, {"allowed": "tag", "capped": "done"}),
        "tag": ("add_tag", {"tag": {"ref": "participant.name"}}, {None: "send"}),
        "send": ("send_email", HELLO, {None: "done"}),
        "done": ("exit", {}),
    }


def failing(cap: dict[str, Any] = ONE) -> dict[str, Any]:
    """A cap, and a message whose failure fails the run."""
    nodes = tagged(cap)
    del nodes["tag"]
    return nodes | {
        "cap": ("frequency_cap", cap, {"allowed": "send", "capped": "done"}),
        "send": ("send_email", HELLO | {"on_failure": "fail"}, {None: "done"}),
    }


def go_on() -> None:
    hand_over()
    event_router.route(slice_s=5.0)
    run_until_idle()


def outcome_of(run: Passage) -> tuple[str, str]:
    last = Delivery.objects.filter(instance_id=run.id).order_by("id").last()
    assert last is not None
    return last.status, last.reason


def retry(run: Passage) -> None:
    operations.retry(run.instance)
    run_until_idle()
    go_on()


def test_what_was_sent_meanwhile_stands_against_a_retried_one(flow_with: Flows, ada: Customer, post: Post) -> None:
    stuck = Passage(flow_with(tagged()), "ada").start()
    other = Passage(flow_with(capped(ONE)), "ada").start()
    go_on()
    assert (stuck.status, outcome_of(other)[0]) == ("failed", "sent")

    Customer.objects.update(name="Ada")
    retry(stuck)

    assert outcome_of(stuck) == ("skipped", "capped")
    assert len(post.sent) == 1


@pytest.mark.parametrize("later", [{}, {"days": 2}])
def test_the_retried_message_goes_out_where_there_is_room_and_counts(
    flow_with: Flows, ada: Customer, post: Post, now: Any, later: dict[str, int]
) -> None:
    stuck = Passage(flow_with(tagged()), "ada").start()
    now.advance(**later)
    Customer.objects.update(name="Ada")

    operations.retry(stuck.instance)
    other = Passage(flow_with(capped(ONE)), "ada").start()
    go_on()

    assert outcome_of(stuck)[0] == "sent"
    assert other.instance.context["outcomes"]["cap"] == "capped"
    assert not CapSlot.objects.exists()


def test_a_send_that_failed_its_run_is_asked_again_too(flow_with: Flows, ada: Customer, post: Post) -> None:
    post.answer = lambda message: Permanent("rejected")
    broken = Passage(flow_with(failing()), "ada").start()
    go_on()
    post.answer = lambda message: Accepted("1")
    other = Passage(flow_with(capped(ONE)), "ada").start()
    go_on()
    assert (broken.status, outcome_of(other)[0]) == ("failed", "sent")

    retry(broken)

    assert outcome_of(broken) == ("skipped", "capped")


def test_of_two_that_are_retried_at_once_one_goes_out(flow_with: Flows, ada: Customer, post: Post) -> None:
    runs = []
    for _ in range(2):
        runs.append(Passage(flow_with(tagged()), "ada").start())
        assert runs[-1].instance.context["outcomes"]["cap"] == "allowed"
    Customer.objects.update(name="Ada")

    operations.retry_many([str(run.id) for run in runs])
    run_until_idle()
    go_on()

    assert sorted(outcome_of(run) for run in runs) == [("sent", ""), ("skipped", "capped")]


def test_a_retry_after_the_message_has_gone_out_keeps_no_slot(flow_with: Flows, ada: Customer, post: Post) -> None:
    nodes = tagged() | {
        "cap": ("frequency_cap", ONE, {"allowed": "send", "capped": "done"}),
        "send": ("send_email", HELLO, {None: "tag"}),
        "tag": ("add_tag", {"tag": {"ref": "participant.name"}}, {None: "rest"}),
        "rest": ("wait", {"duration": "5d"}, {None: "done"}),
    }
    run = Passage(flow_with(nodes), "ada").start()
    go_on()

    Customer.objects.update(name="Ada")
    retry(run)

    assert run.status == "waiting"
    assert not CapSlot.objects.exists()
