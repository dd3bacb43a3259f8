"""What providers say, workers that die in the middle, and what is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import activities, activity_handlers, triggers
from engine.models import Activity, InboundEvent
from marketing.channels import registry
from marketing.channels.provider import Accepted, Permanent, Transient, Unknown
from marketing.deliveries import handing, reading
from marketing.deliveries.errands import KIND
from marketing.models import Delivery, PushToken
from tests.marketing.deliveries.conftest import hand_over, make_due, only, open_channel, send, statuses
from tests.marketing.deliveries.test_sending import line
from tests.support.passage import run_until_idle


class Killed(BaseException):
    """The worker dies here."""


@pytest.fixture
def queued(passage, customer, post):
    customer(email="a@b.de")
    return passage(line(send())).start()


@pytest.fixture
def careful(tenant, post, now):
    open_channel(tenant, "email", "careful", now())
    return registry.get("careful")


def die(*_, **__):
    raise Killed


def lease():
    (found,) = activities.take(1, "a-worker")
    return found


def its_worker_has_died():
    """What the sweep finds: the lease has run out, and the errand is handed on."""
    Activity.objects.filter(status="running").update(lease_until="2020-01-01T00:00:00Z")
    assert activities.reclaim({}) == 1


def test_a_busy_provider_is_asked_again(queued, post):
    answers = iter([Transient("busy"), Accepted("m-1")])
    post.answer = lambda message: next(answers)

    hand_over()
    assert (only().status, only().claim, only().attempts) == ("claimed", "", 1)
    make_due()
    hand_over()

    assert (only().status, only().attempts, only().provider_message_id) == ("sent", 2, "m-1")
    assert statuses() == ["queued", "claimed", "claimed", "claimed", "sent"]
    assert len({each.key for each in post.sent}) == 1


def test_a_provider_that_asks_for_time_gets_it(queued, post):
    post.answer = lambda message: Transient("rate_limited", retry_after=timedelta(minutes=10))

    hand_over()

    pending = Activity.objects.get(status="pending")
    assert pending.due_at - pending.created_at > timedelta(minutes=9)


def test_attempts_come_to_an_end(passage, customer, post):
    customer(email="a@b.de")
    post.answer = lambda message: Transient("busy", "Come back.")
    passage(line(send(retry={"attempts": 2}))).start()

    hand_over()
    make_due()
    hand_over()

    assert (only().status, only().reason) == ("failed", "provider_unavailable")
    assert not Activity.objects.filter(status="pending").exists()


def test_nobody_knows_what_a_provider_without_keys_has_got(queued, careful):
    careful.answer = lambda message: Unknown("timeout", "No answer.")

    hand_over()

    assert (only().status, only().reason) == ("unknown", "provider_unknown")
    assert InboundEvent.objects.get(event_type="email_unknown").data["delivery_id"] == str(only().id)


def test_an_unknown_outcome_is_asked_again_where_keys_are_taken(queued, post):
    answers = iter([Unknown("timeout"), Accepted("m-1")])
    post.answer = lambda message: next(answers)

    hand_over()
    make_due()
    hand_over()

    assert only().status == "sent"


def test_a_provider_that_raises_may_have_sent(queued, careful):
    careful.answer = lambda message: 1 / 0

    hand_over()

    assert only().status == "unknown"


@pytest.mark.parametrize("takes_keys", [True, False])
def test_a_worker_that_dies_after_the_call(queued, post, careful, tenant, now, monkeypatch, takes_keys):
    if takes_keys:
        open_channel(tenant, "email", "post", now(), rate_per_second=None)
    provider = post if takes_keys else careful
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(handing.verdicts, "judge", die)
        handing.hand_over(lease())
    assert (only().status, len(provider.sent)) == ("claimed", 1)

    its_worker_has_died()
    hand_over()

    assert only().status == ("sent" if takes_keys else "unknown")
    assert len(provider.sent) == (2 if takes_keys else 1)
    assert len({each.key for each in provider.sent}) == 1


def test_a_worker_that_dies_before_it_claims_has_done_nothing(queued, careful, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(handing.states, "move", die)
        handing.hand_over(lease())

    its_worker_has_died()
    hand_over()

    assert (only().status, len(careful.sent)) == ("sent", 1)


def test_what_is_recorded_is_not_sent_again_when_the_errand_is(queued, careful):
    first = lease()
    handing.hand_over(first)

    its_worker_has_died()
    hand_over()

    assert (only().status, len(careful.sent)) == ("sent", 1)


def test_a_message_in_other_hands_is_left_alone(queued, careful, monkeypatch):
    first = lease()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(handing.verdicts, "judge", die)
        handing.hand_over(first)

    # The first attempt is still under way, as far as anybody knows.
    assert reading.read(first.tenant_id, first.input["ids"]) == []


def test_a_late_verdict_of_an_attempt_that_was_given_up_changes_nothing(queued, careful, monkeypatch):
    def overtaken(message):
        its_worker_has_died()
        monkeypatch.setattr(careful, "answer", lambda message: Accepted("again"))
        handing.hand_over(lease())
        return Accepted("late")

    careful.answer = overtaken
    handing.hand_over(lease())

    assert (only().status, only().provider_message_id) == ("unknown", "")


def test_no_more_than_a_few_become_unknown_at_once(flow_of, customer, careful):
    flow = flow_of(line(send()))
    for number in range(20):
        customer(f"c-{number}", email=f"c{number}@b.de")
    triggers.start_many(flow, [f"c-{number}" for number in range(20)])
    run_until_idle()

    hand_over()

    assert careful.calls == [8, 8, 4]
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}


def test_a_group_that_keeps_killing_its_workers_goes_one_by_one(tenant, flow_of, customer, post):
    flow = flow_of(line(send()))
    for name in ("a", "b"):
        customer(name, email=f"{name}@b.de")
    triggers.start_many(flow, ["a", "b"])
    run_until_idle()
    Activity.objects.update(attempts=2)

    hand_over()

    assert sorted(len(each.input["ids"]) for each in Activity.objects.filter(kind=KIND)) == [1, 1, 2]
    assert [each.status for each in Delivery.objects.all()] == ["sent", "sent"]


def test_a_message_whose_workers_die_is_given_up_visibly(queued, post, monkeypatch):
    for _ in range(3):
        Activity.objects.update(due_at="2020-01-01T00:00:00Z")
        (activities.take(1, "w") or activities.take_suspect("w"))
        its_worker_has_died()

    assert Activity.objects.get().status == "parked"
    assert (only().status, only().reason) == ("failed", "quarantined")
    assert InboundEvent.objects.filter(event_type="email_failed").count() == 1


def test_one_device_that_is_left_is_enough(passage, customer, post, tenant, now):
    ada = customer()
    for token in ("gone", "here"):
        PushToken.objects.create(tenant=tenant, customer=ada, token=token, created_at=now())
    gone = Permanent("unregistered", dead_address=True)
    post.answer = lambda message: gone if message.recipient == "gone" else Accepted("m-1")

    passage(line(send("send_push"))).start()
    hand_over()

    assert only().status == "sent"
    assert list(PushToken.objects.values_list("token", flat=True)) == ["here"]


def test_the_handler_is_known():
    assert activity_handlers._handlers[KIND] is handing.hand_over
