"""Messages as operators see them."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from marketing.models import Delivery
from tests.marketing.deliveries.conftest import hand_over, only, send
from tests.marketing.deliveries.test_sending import line

LIST = "admin:marketing_delivery_changelist"
ONE = "admin:marketing_delivery_change"
PRESS = "admin:marketing_delivery_press"


@pytest.fixture
def operator(client, transactional_db):
    client.force_login(get_user_model().objects.create_superuser("olga"))
    return client


def test_a_message_is_found_shown_and_sent_once_more(operator, passage, customer, post):
    customer(email="nobody", name="<b>Ada</b>")
    run = passage(line(send(message_class="transactional"))).start()
    hand_over()

    for wanted in ("ada", str(run.id), str(only().pk)):
        assert "invalid_address" in operator.get(reverse(LIST), {"q": wanted}).content.decode()
    assert "0 deliveries" in operator.get(reverse(LIST), {"q": "bob"}).content.decode()
    page = operator.get(reverse(ONE, args=(only().pk,))).content.decode()
    assert "This is no address." in page
    assert "Send once more" in page

    first = only()
    told = operator.post(reverse(PRESS, args=(first.pk, "resend")), follow=True).content.decode()
    again = operator.post(reverse(PRESS, args=(first.pk, "resend")), follow=True).content.decode()

    assert "It is sent once more, as" in told
    assert "has been sent once more already" in again
    assert Delivery.objects.filter(resend_of=first.pk).count() == 1


def test_what_was_sent_is_shown_as_text(operator, passage, customer, post):
    customer(email="ada@example.com")
    passage(line(send(content={"subject": "Hi", "html": "<script>alert(1)</script>"}))).start()
    hand_over()

    page = operator.get(reverse(ONE, args=(only().pk,))).content.decode()

    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page
    assert "Send once more" not in page


def test_its_history_is_told_in_times_that_people_read(operator, passage, customer, post):
    customer(email="ada@example.com")
    passage(line(send())).start()
    hand_over()
    history = [{"at": "2030-01-05T09:00:07.123456+00:00", "status": "queued"}, {"at": None, "status": "sent"}]
    Delivery.objects.update(history=history)

    page = operator.get(reverse(ONE, args=(only().pk,))).content.decode()

    assert '<td class="moment">5 Jan 2030, 09:00:07</td><td>queued</td>' in page
    assert '<td class="moment"></td><td>sent</td>' in page
