"""The journeys of marketers as they stand: they are valid, published, and lead everybody where they should."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flows import publishing
from marketing.channels.provider import Accepted, Permanent
from marketing.models import Consent, Conversion, Delivery
from tests.journeys import world
from tests.journeys.ways import CART, CONSENT, ONBOARDING, WAYS


@pytest.mark.parametrize("name", WAYS)
def test_together_they_take_every_edge(name):
    assert world.untrodden(world.read(name), WAYS[name]) == set()


@pytest.mark.parametrize("name", WAYS)
def test_a_journey_without_what_it_names_says_so(tenant, name):
    found = publishing.validate(world.read(name), tenant)

    assert {problem.code for problem in found.errors} == {"unresolved_reference"}


def expected(ways):
    return {way.name: (way.nodes, way.end) for way in ways}


def test_carts(tenant, now, launched):
    launched("cart-abandonment")
    for number in range(2):
        Delivery.objects.create(
            tenant=tenant, participant_id="capped", channel="email", status="sent", key=f"before-{number}",
            node_id="before", created_at=now(), counted_at=now() + timedelta(hours=1), sent_at=now(),
        )  # fmt: skip

    world.play(tenant, CART, now, entry="cart_updated", until=timedelta(days=8))

    assert world.told(CART) == expected(CART)
    coupon = Delivery.objects.get(node_id="mail_coupon")
    assert (coupon.participant_id, coupon.status) == ("rich", "sent")
    assert set(Conversion.objects.values_list("participant_id", "name")) == {
        (who, "cart_recovered") for who in ("quick", "slow", "reminded", "rich")
    }


def test_trials(tenant, now, launched):
    launched("onboarding-with-waitforevent")

    world.play(tenant, ONBOARDING, now, entry="signup_completed", until=timedelta(days=30))

    assert world.told(ONBOARDING) == expected(ONBOARDING)
    assert Delivery.objects.filter(template_id="onb_welcome", status="sent").count() == len(ONBOARDING)
    assert set(Delivery.objects.filter(template_id="onb_need_help_sms").values_list("participant_id", flat=True)) == {
        "helped"
    }


def test_consents(tenant, now, launched, post):
    launched("re-permission-consent")
    post.answer = lambda message: (
        Permanent("no_such_mailbox", "") if message.participant_id == "bounced" else Accepted(message.delivery_id)
    )

    world.play(tenant, CONSENT, now, entry="", until=timedelta(days=60))

    assert world.told(CONSENT) == expected(CONSENT)
    assert dict(Consent.objects.values_list("participant_id", "status")) == {
        "glad": "granted", "slow": "granted", "mute": "expired", "bounced": "expired", "unsubscribed": "expired",
    }  # fmt: skip
