"""A database that goes away while a provider is called learns what the provider said when it is back."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection

from engine.connections import execute
from engine.models import Activity
from marketing.channels import registry
from marketing.channels.provider import Accepted, Transient
from tests.marketing.deliveries.conftest import hand_over, make_due, only, open_channel, send
from tests.marketing.deliveries.test_sending import line

pytestmark = pytest.mark.django_db(transaction=True)


def lose_the_session():
    """End the session of whoever calls, as a server that is restarted does."""
    (mine,) = execute("SELECT pg_backend_pid()").fetchone()
    given = connection.get_connection_params()
    address = {name: given[name] for name in given if name not in {"cursor_factory", "context"}}
    with psycopg.connect(**address) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [mine])


@pytest.fixture
def queued(passage, customer, post, tenant, now):
    """A message, and a provider that takes no keys."""
    customer(email="a@b.de")
    open_channel(tenant, "email", "careful", now())
    return passage(line(send())).start()


@pytest.fixture
def careful(queued):
    return registry.get("careful")


def test_what_was_sent_is_known_to_be_sent(queued, careful):
    def sent(message):
        lose_the_session()
        return Accepted("m-1")

    careful.answer = sent
    hand_over()

    assert (only().status, only().provider_message_id, len(careful.sent)) == ("sent", "m-1", 1)


def test_what_is_to_be_tried_again_is_tried_once_more_and_not_twice(queued, careful):
    def busy(message):
        lose_the_session()
        return Transient("busy")

    careful.answer = busy
    hand_over()
    assert Activity.objects.filter(kind="send", status="pending").count() == 1

    careful.answer = lambda message: Accepted("m-2")
    make_due()
    hand_over()

    assert (only().status, len(careful.sent)) == ("sent", 2)
