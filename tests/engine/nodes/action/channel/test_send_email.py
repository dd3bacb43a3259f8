from datetime import timedelta

import pytest

from engine.nodes import registry
from engine.nodes.outcomes import Completed, Failed, Waiting
from tests.engine.nodes.steps import NOON, arrival, execute, problems, resume

HELLO = {"content": {"subject": "Hi", "text": "Hello {{ vars.name }}"}}
WAIT = {"delivery_id": "d-1", "channel": "email"}


def test_it_queues_a_message_and_goes_on():
    outcome = execute("send_email", HELLO | {"vars": {"name": {"ref": "entry.name"}}}, entry={"name": "Ada"})

    (message,) = outcome.effects
    assert isinstance(outcome, Completed)
    assert outcome.result == {
        "delivery_id": message.delivery_id, "channel": "email", "status": "queued", "delivery": {"state": "queued"},
    }  # fmt: skip
    assert (message.key, message.channel, message.participant_id) == ("i-1:n-1:1", "email", "ada")
    assert message.payload["vars"] == {"values": {"name": "Ada"}, "coupons": {}, "links": {}}
    assert message.payload["message_class"] == "marketing"


def test_a_retry_of_the_step_is_another_message():
    assert execute("send_email", HELLO, attempt=2).effects[0].key == "i-1:n-1:2"


def test_a_message_may_expire_and_collapse():
    config = HELLO | {"expires_in": "2h", "collapse_key": {"ref": "entry.cart"}}

    payload = execute("send_email", config, entry={"cart": "c-1"}).effects[0].payload

    assert payload["expires_at"] == (NOON + timedelta(hours=2)).isoformat()
    assert payload["collapse_key"] == "c-1"
    assert isinstance(execute("send_email", config, entry={"cart": 7}), Failed)


def test_it_knows_the_latest_event_of_the_run():
    waits = {
        "late": {"event": {"n": 2}, "occurred_at": "2026-06-17T11:00:00+00:00"},
        "early": {"event": {"n": 1}, "occurred_at": "2026-06-17T10:00:00+00:00"},
        "never": {"event": None, "occurred_at": None},
    }

    assert execute("send_email", HELLO, accumulated=waits).effects[0].payload["event"] == {"n": 2}


def test_with_wait_for_the_run_waits_for_this_message_alone():
    outcome = execute("send_email", HELLO | {"wait_for": "opened", "timeout": "1d"})

    assert isinstance(outcome, Waiting)
    assert outcome.until == NOON + timedelta(days=1)
    assert set(outcome.event_types) == {
        f"email_{status}"
        for status in ("opened", "clicked", "skipped", "cancelled", "failed", "unknown", "bounced", "complained")
    }
    assert outcome.filter["value"] == outcome.effects[0].delivery_id == outcome.data["delivery_id"]
    assert outcome.effects[0].payload["awaited"] is True


@pytest.mark.parametrize("on_failure", ["fail", "exit", "branch"])
def test_whoever_minds_a_failure_waits_until_it_is_sent(on_failure):
    assert "email_sent" in execute("send_email", HELLO | {"on_failure": on_failure}).event_types


def test_on_failure_continue_waits_for_nothing():
    assert isinstance(execute("send_email", HELLO | {"on_failure": "continue"}), Completed)


def test_a_later_status_is_as_good():
    outcome = resume("send_email", HELLO | {"wait_for": "delivered"}, arrival("email_clicked"), wait=WAIT)

    assert outcome == Completed({**WAIT, "status": "clicked", "delivery": {"state": "clicked"}})


def test_a_skipped_message_is_no_failure():
    woken = arrival("email_skipped", reason="unsubscribed")

    outcome = resume("send_email", HELLO | {"wait_for": "delivered"}, woken, wait=WAIT)

    assert (outcome.result["status"], outcome.result["reason"]) == ("skipped", "unsubscribed")


def test_a_message_that_cannot_arrive_is_a_failure_with_its_reason():
    woken = arrival("email_failed", reason="provider_permanent")

    outcome = resume("send_email", HELLO | {"wait_for": "delivered"}, woken, wait=WAIT)

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.result["status"]) == ("provider_permanent", "failed")


def test_whoever_waits_for_the_bounce_gets_it():
    outcome = resume("send_email", HELLO | {"wait_for": ["opened", "bounced"]}, arrival("email_bounced"), wait=WAIT)

    assert isinstance(outcome, Completed)


def test_time_runs_out():
    outcome = resume("send_email", HELLO | {"wait_for": "opened"}, wait=WAIT)

    assert (outcome.code, outcome.result["status"]) == ("timeout", "timed_out")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"template_id": "a", "content": {"subject": "b", "text": "c"}},
        {"template_id": "a", "locales": {"de": {"subject": "b"}}},
        HELLO | {"wait_for": []},
        HELLO | {"wait_for": "read"},
        HELLO | {"message_class": "urgent"},
        HELLO | {"vars": {"a-b": 1}},
        HELLO | {"expires_in": 5},
    ],
)
def test_what_is_no_message_is_refused(config):
    assert problems("send_email", config)


def test_it_names_what_has_to_exist():
    raw = {"template_id": "hello", "topic": "news", "vars": {"code": {"pool": "spring"}}}

    found = registry.get("send_email").references_of(registry.parse_config("send_email", raw))

    assert {(each.kind, each.name) for each in found} == {
        ("provider", "email"), ("template", "hello"), ("topic", "news"), ("coupon pool", "spring"),
    }  # fmt: skip
