"""Runs that wait for what becomes of a message, and conditions that read it."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import connection

from engine import activities, connections, event_router, operations, timers, triggers
from engine.execution import loop
from engine.ports import Message
from marketing.channels import accounts
from marketing.channels.provider import Permanent, Report
from marketing.deliveries import handing, reports
from marketing.deliveries.queueing import Sender
from marketing.models import Delivery
from tests.marketing.deliveries.conftest import hand_over, only, send
from tests.marketing.deliveries.test_sending import go, line
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle


@pytest.fixture
def ada(customer):
    return customer(email="a@b.de", preferences={"sms": {"*": False}})


def awaited(**config):
    nodes = {
        "entry": (*ENTRY, {None: "mail"}),
        "mail": (*send(**config), {None: "good"} | ({"failed": "bad"} if config.get("on_failure") == "branch" else {})),
        "good": ("exit", {}),
    }
    return graph(nodes | ({"bad": ("exit", {})} if config.get("on_failure") == "branch" else {}))


def heard():
    event_router.route(slice_s=5.0)
    run_until_idle()


def report(status, **facts):
    reports.record_many(only().tenant_id, [Report("post", status, delivery_id=str(only().id), **facts)])
    heard()


def test_the_run_waits_until_the_message_is_delivered(passage, ada, post):
    run = passage(awaited(wait_for="delivered")).start()
    hand_over()
    heard()
    assert (run.waiting_at, only().status) == (["mail"], "sent")

    report("delivered")

    assert (run.status, run.results["mail"]["status"]) == ("completed", "delivered")


def test_a_status_that_comes_too_early_takes_the_others_along(passage, ada, post):
    run = passage(awaited(wait_for="delivered")).start()
    hand_over()

    report("clicked", data={"url": "https://example.com"})

    assert (run.results["mail"]["status"], only().status) == ("clicked", "clicked")


def test_a_message_of_another_run_wakes_nobody(passage, ada, post):
    run = passage(awaited(wait_for="sent")).start()
    passage(awaited(wait_for="opened")).start()
    first, second = Delivery.objects.order_by("id")
    hand_over()
    reports.record_many(second.tenant_id, [Report("post", "opened", delivery_id=str(second.id))])
    heard()

    assert run.results["mail"]["delivery_id"] == str(first.id)


def test_a_failure_takes_the_branch(passage, ada, post):
    post.answer = lambda message: Permanent("rejected")

    run = passage(awaited(on_failure="branch")).start()
    hand_over()
    heard()

    assert run.path[-1] == "bad"
    assert run.steps[1].error["code"] == "provider_permanent"


def test_a_bounce_after_sending_is_a_failure_for_whoever_waits_for_more(passage, ada, post):
    run = passage(awaited(wait_for="opened", on_failure="branch")).start()
    hand_over()

    report("bounced", hard=True)

    assert run.path[-1] == "bad"


def test_a_failed_send_can_fail_its_run_and_be_tried_again(passage, ada, post):
    post.answer = lambda message: Permanent("rejected")
    run = passage(awaited(on_failure="fail")).start()
    hand_over()
    heard()
    assert (run.status, run.instance.error["code"]) == ("failed", "provider_permanent")

    post.answer = type(post)().answer
    operations.retry(run.id)
    run_until_idle()
    hand_over()
    heard()

    assert run.status == "completed"
    assert [each.status for each in Delivery.objects.order_by("id")] == ["failed", "sent"]
    assert len({each.key for each in post.sent}) == 1


def test_a_skipped_message_lets_its_run_go_on(passage, ada, post):
    nodes = {
        "entry": (*ENTRY, {None: "sms"}),
        "sms": (*send("send_sms", wait_for="delivered"), {None: "done"}),
        "done": ("exit", {}),
    }
    run = passage(graph(nodes))
    run.start()
    hand_over()
    heard()

    assert (run.status, run.results["sms"]["status"]) == ("completed", "skipped")
    assert run.results["sms"]["reason"] == "unsubscribed"


def test_silence_ends_the_wait(passage, ada, post, now):
    run = passage(awaited(wait_for="opened", timeout="1d", on_failure="branch")).start()
    hand_over()
    heard()

    now.advance(days=1)
    timers.wake_due(slice_s=5.0)
    run_until_idle()

    assert run.path[-1] == "bad"


def test_what_was_opened_is_seen_by_a_later_condition(passage, ada, post):
    opened = {"all": [{"path": "nodes.mail.delivery.opened", "op": "eq", "value": True}]}
    nodes = {
        "entry": (*ENTRY, {None: "mail"}),
        "mail": (*send(), {None: "rest"}),
        "rest": ("wait_for_event", {"event_type": "go"}, {"event_received": "ask", "timed_out": "no"}),
        "ask": ("condition", opened, {"true": "yes", "false": "no"}),
        "yes": ("exit", {}),
        "no": ("exit", {}),
    }
    run = passage(graph(nodes)).start()
    hand_over()
    report("opened")

    go(run)

    assert run.path[-1] == "yes"


def test_a_participant_can_wait_for_the_providers_word_with_no_glue(passage, ada, post):
    nodes = {
        "entry": (*ENTRY, {None: "mail"}),
        "mail": (*send(), {None: "rest"}),
        "rest": ("wait_for_event", {"event_type": "email_opened"}, {"event_received": "yes", "timed_out": "no"}),
        "yes": ("exit", {}),
        "no": ("exit", {}),
    }
    run = passage(graph(nodes)).start()
    hand_over()

    report("opened")

    assert run.path[-1] == "yes"


@contextmanager
def counted(monkeypatch):
    """Count the statements of a block, those of COPY and of prepared ones too."""
    statements = []
    real = connections.Cursor.execute

    def execute(self, statement, *args, **kwargs):
        statements.append(statement)
        return real(self, statement, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(connections.Cursor, "execute", execute)
        with connection.execute_wrapper(lambda go_on, sql, *rest: (statements.append(sql), go_on(sql, *rest))[1]):
            yield statements


def test_many_messages_cost_as_many_statements_as_one(flow_of, customer, post, monkeypatch):
    monkeypatch.setattr(accounts, "KEPT_S", 3_600.0)
    flow = flow_of(line(send()))
    asked = []
    # The first round is for what is looked up once in a process.
    for many in (9, 10, 90):
        names = [f"c-{many}-{number}" for number in range(many)]
        for name in names:
            customer(name, email=f"{name}@b.de")
        triggers.start_many(flow, names)
        with counted(monkeypatch) as queueing:
            loop.advance(slice_s=20.0)
        (errand,) = activities.take(1, "a-worker")
        with counted(monkeypatch) as sending:
            handing.hand_over(errand)
        asked.append((len(queueing), len(sending)))

    # How often the loop looks whether there is more is its own affair.
    assert asked[2][0] <= asked[1][0] + 8
    assert asked[2][1] == asked[1][1] <= 12
    assert post.calls == [9, 10, 90]


def test_a_message_can_be_undone_by_another(passage, ada, post):
    sorry = send(content={"subject": "Sorry", "text": "Forget it."}, wait_for="opened")
    nodes = {
        "entry": (*ENTRY, {None: "mail"}),
        "mail": (*send(), {None: "tag"}, {"compensation": {"type": sorry[0], "config": sorry[1]}}),
        "tag": ("add_tag", {"tag": {"ref": "entry.nothing"}}, {None: "done"}),
        "done": ("exit", {}),
    }
    run = passage(graph(nodes, on_failure="compensate")).start()
    hand_over()
    hand_over()

    assert run.status == "compensated"
    assert {each.parts["subject"]: each.key for each in post.sent} == {
        "Hi": f"{run.id}:mail:1", "Sorry": f"{run.id}:mail:compensate",
    }  # fmt: skip


def test_what_a_roll_back_says_is_said_once(passage, ada, post):
    run = passage(line(send())).start()
    key = f"{run.id}:s0:compensate"
    again = Message(
        key, str(run.id), "s0", "ada", "email", {"content": {"subject": "Sorry", "text": "x"}}, may_repeat=True
    )

    Sender().enqueue_many(str(run.flow.tenant_id), [again])
    Sender().enqueue_many(str(run.flow.tenant_id), [again])

    assert Delivery.objects.filter(key=key).count() == 1
