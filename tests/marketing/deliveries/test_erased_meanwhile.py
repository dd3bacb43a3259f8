"""A person is erased while a message of theirs is on its way: what the provider says names them no more."""

from __future__ import annotations

import pytest

from engine.models import InboundEvent
from marketing.channels.provider import Permanent, Report, Transient, Unknown
from marketing.customers import erasure
from marketing.deliveries import reports, resending
from marketing.models import Customer, Delivery
from tests.marketing.customers.test_erasing import everything_kept
from tests.marketing.deliveries.conftest import hand_over, make_due, only, send
from tests.marketing.deliveries.test_sending import line

SECRET = "s3cret-of-ada"
ADDRESS = f"{SECRET}@example.com"


def erase(tenant):
    erasure.request(tenant, SECRET)
    while erasure.erase_one():
        pass


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Permanent("550", f"<{ADDRESS}>: unknown user"), "failed"),
        (Unknown("timeout", f"Nothing was heard of {ADDRESS}."), "unknown"),
        (Transient("451", f"<{ADDRESS}>: later"), "cancelled"),
    ],
)
def test_what_a_provider_says_afterwards_names_nobody(passage, customer, post, tenant, verdict, status):
    customer(SECRET, email=ADDRESS, name=SECRET)
    post.takes_keys = status != "unknown"

    def answer(message):
        erase(tenant)
        return verdict

    post.answer = answer
    passage(line(send(wait_for="sent")), SECRET).start()

    hand_over()
    make_due()
    hand_over()

    assert only().status == status
    assert len(post.sent) == 1
    assert [(table, text) for table, text in everything_kept() if SECRET in text] == []
    assert not InboundEvent.objects.filter(participant_id=SECRET).exists()


def test_nothing_is_sent_once_more_to_whom_is_being_erased(passage, customer, post, tenant):
    customer(SECRET, email=ADDRESS)
    post.answer = lambda message: Permanent("550", "No.")
    passage(line(send()), SECRET).start()
    hand_over()

    erasure.request(tenant, SECRET)

    with pytest.raises(resending.NotResendable, match="erased"):
        resending.resend(Delivery.objects.get())
    assert Customer.objects.get().state == "deleting"


def test_what_is_reported_afterwards_names_nobody(passage, customer, post, tenant):
    customer(SECRET, email=ADDRESS)
    passage(line(send()), SECRET).start()
    hand_over()
    erase(tenant)

    bounce = Report(status="bounced", provider="post", message_id=f"post-{only().pk}", detail=f"{ADDRESS} is gone")
    click = Report(
        status="clicked", provider="post", message_id=bounce.message_id, data={"url": f"https://x.org/?e={ADDRESS}"}
    )
    reports.record_many(tenant.pk, [bounce, click])

    assert only().status == "bounced"
    assert [table for table, text in everything_kept() if SECRET in text] == []
