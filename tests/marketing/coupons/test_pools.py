"""Each code is given to one message, and each message has one code, whatever happens at the same moment."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from engine import clock
from marketing.coupons import pools
from marketing.coupons.pools import Wanted
from marketing.models import Coupon, CouponPool
from tests.support.races import at_once

URL = "/api/v1/coupon_pools"


@pytest.fixture
def spring(tenant):
    pool = CouponPool.objects.create(tenant=tenant, slug="spring", created_at=clock.now())
    pools.add(pool, [f"CODE{number:03}" for number in range(40)])
    return pool


def wanted(*keys, pool="spring"):
    return [Wanted(pool, key, f"who-{key}") for key in keys]


def test_a_repeated_attempt_gets_the_same_code(tenant, spring):
    first = pools.give_many(tenant.pk, wanted("m1", "m2"))
    again = pools.give_many(tenant.pk, wanted("m2", "m3", "m1"))

    assert again[("spring", "m1")] == first[("spring", "m1")]
    assert again[("spring", "m2")] == first[("spring", "m2")]
    assert len(set(again.values())) == 3
    assert pools.counts(spring) == {"total": 40, "given": 3, "left": 37}


def test_an_empty_pool_gives_nothing_and_an_unknown_one_neither(tenant, spring):
    given = pools.give_many(tenant.pk, wanted(*(f"m{number}" for number in range(41))))

    assert len(given) == len(set(given.values())) == 40
    assert pools.give_many(tenant.pk, wanted("x")) == {}
    assert pools.give_many(tenant.pk, wanted("x", pool="gone")) == {}


def test_another_tenants_pool_gives_nothing(other_tenant, spring):
    assert pools.give_many(other_tenant.pk, wanted("m1")) == {}


def test_many_workers_never_give_one_code_twice(tenant, spring):
    keys = [[f"w{worker}-{number}" for number in range(10)] for worker in range(4)]

    given = at_once([lambda mine=mine: pools.give_many(tenant.pk, wanted(*mine)) for mine in keys])

    codes = [code for each in given for code in each.values()]
    assert len(codes) == len(set(codes)) == 40


def test_two_attempts_at_one_message_at_once_get_one_code(tenant, spring):
    given = at_once([lambda: pools.give_many(tenant.pk, wanted("m1", "m2", "m3"))] * 4)

    assert all(each == given[0] for each in given)
    assert pools.counts(spring)["given"] == 3


def test_a_code_is_free_again_when_its_message_is_rolled_back(tenant, spring):
    with pytest.raises(RuntimeError), transaction.atomic():
        pools.give_many(tenant.pk, wanted("m1"))
        raise RuntimeError

    assert pools.counts(spring)["given"] == 0


def test_a_batch_costs_as_many_statements_as_one_message(tenant, spring, django_assert_num_queries, monkeypatch):
    asked: list[str] = []
    execute = pools.execute
    monkeypatch.setattr(pools, "execute", lambda *given: asked.append(given[0]) or execute(*given))

    pools.give_many(tenant.pk, wanted("m1"))
    one = len(asked)
    pools.give_many(tenant.pk, wanted(*(f"n{number}" for number in range(30))))

    assert len(asked) == 2 * one == 6
    with CaptureQueriesContext(connection) as nothing:
        pools.give_many(tenant.pk, [])
    assert len(nothing) == 0


def test_pools_and_codes_over_rest(agree, api, client_of, other_tenant):
    agree(api, "post", URL, {"slug": "cart10"})
    codes = f"{URL}/{{slug}}/codes"
    first = agree(api, "post", codes, {"codes": ["A", "B", "A"]}, slug="cart10").json()
    second = agree(api, "post", codes, {"codes": ["B", "C"]}, slug="cart10").json()

    assert (first, second) == ({"added": 2, "duplicates": 1}, {"added": 1, "duplicates": 1})
    assert agree(api, "get", f"{URL}/{{slug}}", slug="cart10").json()["left"] == 3
    assert [each["code"] for each in agree(api, "get", codes, slug="cart10").json()["results"]] == ["A", "B", "C"]
    assert agree(api, "patch", f"{URL}/{{slug}}", {"name": "Cart"}, slug="cart10").json()["name"] == "Cart"
    assert agree(api, "get", URL).json()["results"][0]["slug"] == "cart10"
    assert agree(api, "post", URL, {"slug": "cart10"}).status_code == 409
    assert client_of(other_tenant).post(f"{URL}/cart10/codes", {"codes": ["X"]}).status_code == 404
    assert agree(api, "post", codes, {"codes": []}, slug="cart10").status_code == 400
    assert agree(api, "delete", f"{URL}/{{slug}}", slug="cart10").status_code == 204
    assert not Coupon.objects.exists()
