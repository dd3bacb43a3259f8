"""Customers as operators see them."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from marketing.customers import erasure
from marketing.models import Customer, Topic


@pytest.fixture
def operator(client, transactional_db):
    client.force_login(get_user_model().objects.create_superuser("olga"))
    return client


def test_a_customer_is_found_looked_at_and_erased(operator, customer):
    ada = customer(email="ada@example.com", properties={"plan": "pro"})
    customer("bob")

    found = operator.get(reverse("admin:marketing_customer_changelist"), {"q": "ada@example.com"}).content.decode()
    assert ">ada<" in found
    assert ">bob<" not in found
    page = operator.get(reverse("admin:marketing_customer_change", args=(ada.pk,))).content.decode()
    assert "plan" in page
    assert "Erase for good" in page
    assert operator.post(reverse("admin:marketing_customer_press", args=(ada.pk, "erase"))).status_code == 302
    erasure.erase_one()

    assert Customer.objects.get(pk=ada.pk).state == "erased"
    assert operator.get(reverse("admin:marketing_customer_add")).status_code == 403


def test_a_customers_page_leads_to_what_happened_and_asks_before_it_erases(operator, customer):
    ada = customer("ada lovelace")

    page = operator.get(reverse("admin:marketing_customer_change", args=(ada.pk,))).content.decode()

    for name in ("flows/flowinstance", "marketing/delivery", "marketing/consentchange", "engine/inboundevent"):
        assert f'href="/admin/{name}/?q=ada+lovelace"' in page
    assert 'data-sure="Everything that is kept of this person goes' in page


def test_topics_are_edited(operator, tenant):
    given = {"tenant": str(tenant.pk), "slug": "news", "name": "News", "description": "", "opt_in": "on"}
    assert operator.post(reverse("admin:marketing_topic_add"), given).status_code == 302
    news = Topic.objects.get()
    assert (news.slug, news.opt_in) == ("news", True)

    page = reverse("admin:marketing_topic_change", args=(news.pk,))
    assert operator.post(page, {"name": "Newsletter", "description": "", "slug": "other"}).status_code == 302
    news.refresh_from_db()
    assert (news.slug, news.name, news.opt_in) == ("news", "Newsletter", False)


@pytest.mark.parametrize("name", ["consent", "consentchange"])
def test_consents_are_only_looked_at(operator, name):
    assert operator.get(reverse(f"admin:marketing_{name}_changelist"), {"q": "ada"}).status_code == 200
    assert operator.get(reverse(f"admin:marketing_{name}_add")).status_code == 403
