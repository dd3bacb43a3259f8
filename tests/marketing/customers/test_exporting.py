"""The export of a person says everything that is kept of them, and an erasure leaves of that what the docs say."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from engine import clock
from marketing.customers import erasure, merging
from marketing.models import CapSlot, Delivery, PushToken, Suppression

URL = "/api/v1/customers/{external_id}/export"
ADDRESSES = {
    "email": "ada@example.com",
    "sms": "+491511234567",
    "push": "token-1",
    "whatsapp": "+491511234567",
}


@pytest.fixture
def person(customer, tenant, other_tenant):
    """Ada, who was reached under an earlier address and by a device, and whose addresses are suppressed."""
    ada = customer("ada", email="Ada@Example.com", phone="+491511234567")
    customer("anon")
    merging.merge(tenant, "anon", "ada")
    now = clock.now()
    PushToken.objects.create(tenant=tenant, customer=ada, token="token-1", created_at=now)
    common = {"tenant": tenant, "participant_id": "ada", "created_at": now, "channel": "email"}
    Delivery.objects.create(key="sent", status="sent", recipient="old@example.com", rendered={"text": "Hi"}, **common)
    Delivery.objects.create(key="queued", payload={"vars": {"word": "secret"}}, **common)
    CapSlot.objects.create(
        tenant=tenant, flow_id=uuid4(), instance_id=uuid4(), node_id="cap", participant_id="ada", channel="all",
        reserved_at=now + timedelta(),
    )  # fmt: skip
    said = {"delivery_id": str(uuid4()), "detail": "550 ada is gone"}
    for channel, address in [*ADDRESSES.items(), ("email", "old@example.com")]:
        suppress(tenant, channel, address, detail=said)
    suppress(tenant, "email", "bob@example.com")
    suppress(tenant, "sms", "ada@example.com")
    suppress(other_tenant, "email", "ada@example.com")
    return ada


def suppress(tenant, channel, address, **facts):
    given = {"reason": "hard_bounce", "created_at": clock.now()} | facts
    Suppression.objects.create(tenant=tenant, channel=channel, address=address, **given)


def test_suppressions_of_every_address_slots_and_words_that_were_not_sent_are_part_of_it(agree, api, person):
    found = agree(api, "get", URL, external_id="anon").json()

    suppressed = [(each["channel"], each["address"]) for each in found["suppressions"]]
    assert sorted(suppressed) == sorted([*ADDRESSES.items(), ("email", "old@example.com")])
    assert [each["node_id"] for each in found["cap_slots"]] == ["cap"]
    words = [(each["rendered"], each["payload"]) for each in found["deliveries"]]
    assert words == [({"text": "Hi"}, {}), (None, {"vars": {"word": "secret"}})]


def test_an_erasure_leaves_the_addresses_suppressed_and_says_no_more_of_them(api, person, tenant, other_tenant):
    before = Suppression.objects.count()

    api.delete("/api/v1/customers/ada")
    while erasure.erase_one():
        pass

    assert Suppression.objects.count() == before
    assert not Suppression.objects.for_tenant(tenant).exclude(detail={}).exists()
    assert not CapSlot.objects.exists()
    assert set(Delivery.objects.values_list("recipient", flat=True)) == {""}
