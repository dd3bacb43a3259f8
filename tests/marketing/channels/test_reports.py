"""What providers report: in any order, more than once, of messages that are ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import uuid4

import pytest

from engine import connections
from engine.models import InboundEvent
from marketing.channels.provider import Permanent, Report, Transient
from marketing.customers import erasure
from marketing.deliveries import reports, suppressions
from marketing.deliveries.lookup import Deliveries
from marketing.deliveries.reports import record_many
from marketing.models import Customer, Delivery, PushToken, Suppression
from tests.support.races import at_once


def report(delivery, status, **facts):
    return Report("sendgrid", status, delivery_id=str(delivery.pk), **facts)


def status_of(delivery) -> str:
    return Delivery.objects.get(pk=delivery.pk).status


def events(tenant) -> list[str]:
    return list(InboundEvent.objects.for_tenant(tenant).order_by("id").values_list("event_type", flat=True))


def test_a_report_moves_the_message_and_tells_the_engine(tenant, delivery_of, now):
    delivery = delivery_of(flow_id=tenant.pk, node_id="hello", template_id="welcome")
    wall = datetime.now(UTC) - timedelta(minutes=5)

    assert record_many(tenant.pk, [Report("sendgrid", "delivered", at=wall, message_id="m-0", detail="250 OK")]) == 1

    delivery.refresh_from_db()
    assert delivery.status == "delivered"
    assert [(each["status"], each["detail"]) for each in delivery.history] == [("delivered", "250 OK")]
    event = InboundEvent.objects.get()
    assert (event.participant_id, event.event_type) == ("ada", "email_delivered")
    assert event.data["delivery_id"] == str(delivery.pk)
    assert (event.data["node_id"], event.data["template_id"]) == ("hello", "welcome")
    assert abs(now() - timedelta(minutes=5) - event.occurred_at) < timedelta(seconds=30)


def test_any_order_ends_at_the_latest_status_with_each_told_once(tenant, delivery_of):
    for order in permutations(["sent", "delivered", "opened", "clicked"]):
        delivery = delivery_of("claimed")

        for status in [*order, *order]:
            record_many(tenant.pk, [report(delivery, status)])

        assert status_of(delivery) == "clicked"
        assert sorted(events(tenant)) == ["email_clicked", "email_delivered", "email_opened"]
        InboundEvent.objects.all().delete()


def test_what_is_said_twice_in_one_call_counts_once(tenant, delivery_of):
    delivery = delivery_of()

    assert record_many(tenant.pk, [report(delivery, "opened")] * 3) == 1
    assert events(tenant) == ["email_opened"]


def test_each_link_that_is_clicked_is_told_once(tenant, delivery_of):
    delivery = delivery_of()
    urls = ["https://x/1", "https://x/2", "https://x/1", "https://x/2"]

    for url in urls:
        record_many(tenant.pk, [report(delivery, "clicked", data={"url": url})])

    told = InboundEvent.objects.order_by("id")
    assert [each.data["url"] for each in told] == urls[:2]
    assert told[0].event_id == f"delivery:{delivery.pk}:clicked"


def test_a_provider_that_goes_on_and_on_fills_no_row(tenant, delivery_of):
    delivery = delivery_of()
    many = [report(delivery, "clicked", data={"url": f"https://x/{number}"}) for number in range(500)]

    record_many(tenant.pk, many)

    delivery.refresh_from_db()
    assert len(delivery.history) == reports.LONGEST_HISTORY


def test_a_hard_bounce_suppresses_the_address_at_once(tenant, delivery_of):
    delivery = delivery_of()

    record_many(tenant.pk, [report(delivery, "bounced", hard=True, detail="550 gone")])

    delivery.refresh_from_db()
    assert (delivery.status, delivery.reason) == ("bounced", "hard_bounce")
    (suppression,) = Suppression.objects.all()
    assert (suppression.channel, suppression.address, suppression.reason) == (
        "email", "ada@example.com", "hard_bounce",
    )  # fmt: skip
    assert suppressions.suppressed(tenant.pk, [("email", "ADA@example.com "), ("sms", "ada@example.com")]) == {
        ("email", "ADA@example.com ")
    }


def test_soft_bounces_suppress_when_there_are_several_in_the_window(tenant, delivery_of, now):
    old = delivery_of()
    record_many(tenant.pk, [report(old, "bounced")])
    now.advance(days=31)
    for count in (1, 2, 3):
        delivery = delivery_of()
        record_many(tenant.pk, [report(delivery, "bounced")])
        record_many(tenant.pk, [report(delivery, "bounced")])
        assert Suppression.objects.count() == (count == 3)

    assert Suppression.objects.get().reason == "soft_bounces"


@pytest.mark.parametrize("before", ["sent", "delivered", "opened", "clicked"])
def test_a_complaint_is_the_last_word_about_a_message_and_forgets_nothing_of_before(tenant, delivery_of, before):
    instance = uuid4()
    delivery = delivery_of(instance_id=instance, node_id="hello")
    record_many(tenant.pk, [report(delivery, before)])
    InboundEvent.objects.all().delete()

    record_many(tenant.pk, [report(delivery, "complained"), report(delivery, "complained")])
    record_many(tenant.pk, [report(delivery, "delivered")])

    delivery.refresh_from_db()
    assert (delivery.status, delivery.reason) == ("complained", "complaint")
    assert Suppression.objects.get().reason == "complaint"
    assert "email_complained" in events(tenant)
    seen = Deliveries().states_many(str(tenant.pk), [str(instance)])[str(instance)]["hello"]
    assert (seen["opened"], seen["clicked"]) == (before in ("opened", "clicked"), before == "clicked")


def test_somebody_who_unsubscribes_at_the_provider_gets_no_more(tenant, delivery_of):
    delivery = delivery_of("delivered")

    record_many(tenant.pk, [report(delivery, "unsubscribed")])

    assert status_of(delivery) == "delivered"
    assert Suppression.objects.get().reason == "unsubscribed"
    assert events(tenant) == ["email_unsubscribed"]


@pytest.mark.parametrize("ended", ["skipped", "cancelled", "unknown", "failed", "bounced"])
def test_what_has_ended_stays_as_it_is(tenant, delivery_of, ended):
    delivery = delivery_of(ended)

    record_many(tenant.pk, [report(delivery, "opened")])

    assert status_of(delivery) == ended


def test_messages_of_others_are_not_touched(tenant, other_tenant, delivery_of):
    theirs = delivery_of(of=other_tenant)
    unknown = Report("sendgrid", "opened", message_id="nobody's")
    by_another_provider = Report("postmark", "opened", message_id="m-0")
    strange = Report("sendgrid", "opened", delivery_id="no id", message_id="m\0")

    told = [report(theirs, "opened"), Report("sendgrid", "opened", message_id="m-0"), unknown, by_another_provider]
    assert record_many(tenant.pk, [*told, strange]) == 0

    assert status_of(theirs) == "sent"
    assert not InboundEvent.objects.exists()


def test_nothing_is_told_of_somebody_who_was_erased(tenant, delivery_of):
    delivery = delivery_of(participant_id=erasure.pseudonym_of(tenant.pk, "ada"), recipient="")

    record_many(tenant.pk, [report(delivery, "bounced", hard=True)])

    assert status_of(delivery) == "bounced"
    assert not InboundEvent.objects.exists()
    assert not Suppression.objects.exists()


def test_many_reports_take_as_many_statements_as_a_few(tenant, delivery_of, monkeypatch):
    said: list[str] = []
    plain = connections.Cursor.execute
    monkeypatch.setattr(connections.Cursor, "execute", lambda self, *a, **k: said.append(a[0]) or plain(self, *a, **k))

    def statements(count: int) -> int:
        several = [delivery_of(recipient=f"{count}-{number}@x.y") for number in range(count)]
        said.clear()
        assert record_many(tenant.pk, [report(each, "bounced", hard=n % 2 == 0) for n, each in enumerate(several)])
        return len(said)

    assert statements(2) == statements(60) == 5


def test_reports_at_the_same_moment_count_once(tenant, delivery_of):
    several = [delivery_of() for _ in range(5)]
    told = [report(each, status) for each in several for status in ("opened", "delivered")]

    news = at_once([lambda: record_many(tenant.pk, told), lambda: record_many(tenant.pk, told[::-1])])

    assert sum(news) == 10
    assert {status_of(each) for each in several} == {"opened"}
    assert len(events(tenant)) == 10


def test_a_dead_device_is_suppressed_and_taken_from_its_owner(tenant, other_tenant, customer, now):
    ada = customer()
    PushToken.objects.create(tenant=tenant, customer=ada, token="dead", created_at=now())
    theirs = Customer.objects.create(tenant=other_tenant, external_id="a", created_at=now(), updated_at=now())
    PushToken.objects.create(tenant=other_tenant, customer=theirs, token="dead", created_at=now())

    suppressions.learn_many(
        tenant.pk,
        [
            ("push", "dead", Permanent("invalid_address", dead_address=True)),
            ("push", "alive", Permanent("refused")),
            ("email", "ada@example.com", Transient("http_503")),
        ],
    )

    assert [each.address for each in Suppression.objects.all()] == ["dead"]
    assert [each.tenant_id for each in PushToken.objects.all()] == [other_tenant.pk]
