"""Messages in several hands at the same moment, on real connections."""

from __future__ import annotations

from collections import Counter

import pytest

from engine import activities, operations, triggers
from engine.models import Activity
from marketing.deliveries import handing, resending, resting
from marketing.models import Delivery
from tests.engine.conftest import NOON
from tests.marketing.deliveries.conftest import hand_over, send
from tests.marketing.deliveries.test_resting import waiting
from tests.marketing.deliveries.test_sending import line
from tests.support.graphs import graph
from tests.support.passage import run_until_idle
from tests.support.races import at_once


@pytest.fixture
def many(flow_of, customer, post):
    """Thirty messages that are queued, and their runs."""

    def make(nodes):
        flow = flow_of(nodes)
        names = [f"c-{number}" for number in range(30)]
        for name in names:
            customer(name, email=f"{name}@b.de")
        verdicts = triggers.start_many(flow, names)
        run_until_idle()
        return [verdict.instance_id for verdict in verdicts]

    return make


def test_two_workers_with_the_same_messages_send_each_once(many, post):
    many(line(send()))
    errand = Activity.objects.get(kind="send")
    double = Activity.objects.create(
        tenant_id=errand.tenant_id, flow_id=errand.flow_id, kind="send", target="", input=errand.input,
        idempotency_key="double", policy=errand.policy, due_at=errand.due_at, created_at=errand.created_at,
    )  # fmt: skip
    leases = activities.take(2, "a-worker")
    assert {lease.id for lease in leases} == {str(errand.pk), str(double.pk)}

    at_once([lambda lease=lease: handing.hand_over(lease) for lease in leases])

    assert Counter(each.delivery_id for each in post.sent).most_common(1)[0][1] == 1
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}


def test_what_is_cancelled_is_not_sent_and_what_is_sent_is_not_cancelled(many, post):
    runs = many(graph(waiting(send())))
    (lease,) = activities.take(1, "a-worker")

    at_once([lambda: handing.hand_over(lease), lambda: operations.cancel_many(runs)])

    sent = {each.delivery_id for each in post.sent}
    by_status = {str(each.pk): each.status for each in Delivery.objects.all()}
    assert {key for key, status in by_status.items() if status == "sent"} == sent
    assert set(by_status.values()) <= {"sent", "cancelled"}


def test_a_message_is_sent_once_more_by_one_of_many(many, post):
    many(line(send()))
    first = Delivery.objects.first()
    Delivery.objects.filter(pk=first.pk).update(status="failed")

    def press():
        try:
            return resending.resend(first)
        except resending.NotResendable:
            return None

    given = at_once([press] * 4)

    assert sum(each is not None for each in given) == 1


def test_two_sweeps_wake_each_message_once(many, post):
    many(line(send()))
    Activity.objects.all().delete()
    Delivery.objects.update(due_at=NOON)

    at_once([lambda: resting.run(5.0)] * 2)
    hand_over()

    assert len(post.sent) == 30
    assert sum(len(each.input["ids"]) for each in Activity.objects.filter(kind="send")) == 30
