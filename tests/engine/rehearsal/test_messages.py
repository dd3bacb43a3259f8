"""Messages in a rehearsal: shown as they would arrive, heard of as they were chosen, and never queued."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine import clock
from engine.ports import Preferences
from engine.rehearsal import rehearsing
from engine.rehearsal.plan import Choice, Plan
from marketing.models import CouponPool, Delivery, Suppression, Topic
from marketing.templates import store
from tests.engine.conftest import NOON
from tests.support.graphs import ENTRY, graph

ADA = {"email": "ada@example.com", "name": "Ada", "locale": "de-AT", "properties": {}, "tags": []}
VARS = {"code": {"pool": "spring"}, "out": {"link": "unsubscribe"}, "city": {"ref": "entry.city", "default": "home"}}

OPENED = {"path": "nodes.mail.delivery.opened", "op": "eq", "value": True}


def mail(**config):
    given = {"content": {"subject": "Hello {{ participant.name }}", "text": "{{ vars.city }}"}, **config}
    given |= {"vars": {"city": VARS["city"]}} if "vars" not in config else {}
    return ("send_email", {name: value for name, value in given.items() if value is not None})


def through(*send, branches=None):
    return graph(
        {
            "entry": (*ENTRY, {None: "mail"}),
            "mail": (*send, branches or {None: "read"}),
            "read": ("condition", OPENED, {"true": "yes", "false": "no"}),
            "yes": ("exit", {"reason": "opened"}),
            "no": ("exit", {"reason": "unopened"}),
        }
    )  # fmt: skip


@pytest.fixture
def rehearse(flow_of, monkeypatch):
    def play(raw, **plan):
        flow = flow_of(graph({"entry": (*ENTRY, {None: "end"}), "end": ("exit", {})}))
        version = flow.active_version
        version.graph = raw
        return rehearsing.rehearse(version, Plan(**{"begins": NOON, "profile": ADA, **plan}))

    return play


def test_a_message_is_shown_as_it_would_arrive(rehearse):
    (message,) = rehearse(through(*mail()), entry={"city": "Ulm"})["messages"]

    assert message["rendered"] == {"subject": "Hello Ada", "text": "Ulm"}
    assert (message["status"], message["recipient"]) == ("delivered", "ada@example.com")
    assert [each["status"] for each in message["history"]] == ["sent", "delivered"]
    assert Delivery.objects.count() == 0


def test_a_template_is_shown_in_the_participants_language(rehearse, tenant):
    parts = {"subject": "Hi", "text": "Hello"}
    store.create(tenant, "hello", channel="email", parts=parts, locales={"de": {"subject": "Hallo"}})

    (message,) = rehearse(through("send_email", {"template_id": "hello"}))["messages"]

    assert (message["rendered"]["subject"], message["locale"]) == ("Hallo", "de")


def test_no_coupon_is_taken_and_no_link_works(rehearse, tenant):
    CouponPool.objects.create(tenant=tenant, slug="spring", name="Spring", created_at=clock.now())
    text = "{{ vars.code }} {{ vars.out }}"

    (message,) = rehearse(through(*mail(content={"subject": "x", "text": text}, vars=VARS)))["messages"]

    code, link = message["rendered"]["text"].split()
    assert code == "SPRING-EXAMPLE"
    assert link.endswith("/u/rehearsal?link=unsubscribe")


@pytest.mark.parametrize(
    ("profile", "said", "reason"),
    [
        ({"properties": {}, "tags": []}, Preferences(), "no_address"),
        (ADA, Preferences({"email": {"*": False}}), "unsubscribed"),
    ],
)
def test_a_message_that_would_not_be_sent_says_why(rehearse, profile, said, reason):
    (message,) = rehearse(through(*mail()), profile=profile, preferences=said)["messages"]

    assert (message["status"], message["reason"]) == ("skipped", reason)


def test_what_needs_no_consent_is_sent_to_whoever_gave_none(rehearse, tenant):
    Topic.objects.create(tenant=tenant, slug="news", name="News", opt_in=True, created_at=clock.now())
    asked = mail(topic="news")
    needed = mail(topic="news", message_class="transactional")
    nothing = Preferences()

    assert rehearse(through(*asked), preferences=nothing)["messages"][0]["reason"] == "no_consent"
    assert rehearse(through(*needed), preferences=nothing)["messages"][0]["status"] == "delivered"


def test_a_run_waits_for_the_status_that_was_chosen(rehearse):
    waiting = through(
        *mail(wait_for="opened", timeout="2d", on_failure="branch"), branches={None: "read", "failed": "no"}
    )
    opened = {"mail": Choice(delivery="clicked", after=timedelta(hours=3))}
    bounced = {"mail": Choice(delivery="bounced", reason="provider_permanent")}

    assert rehearse(waiting)["ended_at"] == "2030-01-03T12:00:00Z"
    told = rehearse(waiting, choices=opened)
    assert (told["exit_reason"], told["ended_at"]) == ("opened", "2030-01-01T15:00:00Z")
    assert rehearse(waiting, choices=bounced)["path"][1]["branch"] == "failed"


def test_a_cap_counts_what_the_rehearsal_sends(rehearse):
    capped = graph(
        {
            "entry": (*ENTRY, {None: "first"}),
            "first": (*mail(), {None: "pause"}),
            "pause": ("wait", {"duration": "2h"}, {None: "cap"}),
            "cap": ("frequency_cap", {"max_messages": 1, "time_window": "1d"}, {"allowed": "more", "capped": "enough"}),
            "more": (*mail(), {None: "enough"}),
            "enough": ("exit", {}),
        }
    )

    assert len(rehearse(capped)["messages"]) == 1
    assert len(rehearse(capped, choices={"cap": Choice(branch="allowed")})["messages"]) == 2


def test_a_message_rests_in_quiet_hours(rehearse):
    quiet = through(*mail()) | {"settings": {"quiet_hours": {"from": "12:00", "to": "15:30"}}}
    berlin = ADA | {"timezone": "Europe/Berlin"}

    (message,) = rehearse(quiet, profile=berlin)["messages"]

    assert (message["queued_at"], message["sent_at"]) == ("2030-01-01T12:00:00Z", "2030-01-01T14:30:00Z")
    assert message["history"][0] == {"status": "sent", "at": "2030-01-01T14:30:00Z", "reason": None}


def test_nobody_writes_to_a_suppressed_address(rehearse, tenant):
    Suppression.objects.create(tenant=tenant, channel="email", address=ADA["email"], reason="bounced", created_at=NOON)

    (message,) = rehearse(through(*mail(message_class="transactional")))["messages"]

    assert (message["status"], message["reason"]) == ("skipped", "suppressed")


def test_a_rehearsal_that_says_too_much_is_ended(rehearse, monkeypatch):
    monkeypatch.setattr("engine.rehearsal.rehearser.MOST_BYTES", 4_000)
    long = mail(content={"subject": "x", "text": "{% for n in (1..1000) %}long {% endfor %}"})
    twice = {"entry": (*ENTRY, {None: "one"}), "one": (*long, {None: "two"}), "two": (*long, {None: "end"})}

    told = rehearse(graph({**twice, "end": ("exit", {})}))

    assert told["warnings"][0]["code"] == "halted"
    assert [message["node_id"] for message in told["messages"]] == ["one"]
