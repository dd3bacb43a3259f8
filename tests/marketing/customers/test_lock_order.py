"""Customers are locked in one order: whoever follows a merged one to the one it is now holds no more than that one."""

from __future__ import annotations

import pytest
from django.db import transaction

from marketing.customers import erasure, merging, profiles
from marketing.models import Customer
from tests.support.races import Meanwhile, wait_until_somebody_is_blocked


@pytest.fixture
def merged(customer, tenant):
    """Zoe, who turned out to be Ada."""
    customer("ada")
    customer("zoe")
    merging.merge(tenant, "zoe", "ada")


def held(name):
    return Customer.objects.select_for_update(no_key=True).get(external_id=name)


@pytest.mark.parametrize(
    "act",
    [
        lambda tenant: profiles.change(tenant, "zoe", {"name": "Z"}),
        lambda tenant: profiles.tag(tenant, "zoe", add=["t"]),
        lambda tenant: erasure.request(tenant, "zoe"),
    ],
)
def test_whoever_follows_a_merged_one_does_not_hold_it(merged, tenant, act):
    with transaction.atomic():
        held("ada")
        other = Meanwhile(lambda: act(tenant))
        wait_until_somebody_is_blocked()
        assert held("zoe").state == "merged"
    with other:
        other.answer()


def test_what_is_merged_while_it_is_waited_for_is_followed_on(customer, tenant):
    customer("ada")
    customer("bob")
    with transaction.atomic():
        held("ada")
        held("bob")
        other = Meanwhile(lambda: profiles.change(tenant, "bob", {"name": "B"}))
        wait_until_somebody_is_blocked()
        merging.merge(tenant, "bob", "ada")
    with other:
        other.answer()

    assert Customer.objects.get(external_id="ada").name == "B"
    assert Customer.objects.get(external_id="bob").state == "merged"


def test_who_is_put_while_an_erasure_of_that_id_ends_is_somebody_new(customer, tenant):
    customer("ada", name="Old", state="deleting")
    with transaction.atomic():
        old = held("ada")
        other = Meanwhile(lambda: profiles.replace(tenant, "ada", {"name": "New"}))
        wait_until_somebody_is_blocked()
        old.external_id, old.state = "erased:1", "erased"
        old.save()
    with other:
        _, is_new = other.answer()

    assert is_new
    assert Customer.objects.get(external_id="ada").name == "New"
