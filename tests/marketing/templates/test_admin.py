"""Templates, links and coupon pools as operators see them."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from marketing.coupons import pools
from marketing.models import CouponPool, Link, Template, TemplateVersion
from marketing.templates import store

CONTENT = {"subject": "Hi {{ participant.name }}", "text": "x"}


@pytest.fixture
def operator(client, transactional_db):
    client.force_login(get_user_model().objects.create_superuser("olga"))
    return client


def address(model, page="add", *names):
    return reverse(f"admin:marketing_{model}_{page}", args=names)


def form(tenant, **facts):
    given = {"tenant": str(tenant.pk), "slug": "welcome", "name": "Welcome", "channel": "email", "locales": "{}"}
    return {**given, "content": json.dumps(CONTENT), **facts}


def test_a_template_is_made_reworded_and_looked_at(operator, tenant, customer):
    customer("ada", name="<Ada>")
    assert operator.post(address("template"), form(tenant)).status_code == 302
    welcome = Template.objects.get()

    page = operator.get(address("template", "change", welcome.pk)).content.decode()
    assert "participant.name" in page
    told = operator.post(address("template", "press", welcome.pk, "preview"), {"text": "ada"}, follow=True)
    assert "Hi &lt;Ada&gt;" in told.content.decode()
    changed = form(tenant, content=json.dumps({"subject": "Second", "text": "y"}), name="Again")
    assert operator.post(address("template", "change", welcome.pk), changed).status_code == 302

    welcome.refresh_from_db()
    assert (welcome.version, welcome.name, welcome.slug, welcome.channel) == (2, "Again", "welcome", "email")
    assert TemplateVersion.objects.get(number=2).created_by == "user:olga"


def test_a_preview_for_nobody_says_whom_it_needs(operator, tenant):
    operator.post(address("template"), form(tenant))
    press = address("template", "press", Template.objects.get().pk, "preview")

    for text, way_out in (("eve", "There is no customer eve."), ("", "Write the id of a customer beside the button.")):
        assert way_out in operator.post(press, {"text": text}, follow=True).content.decode()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"content": '{"subject": "{{ x", "text": "x"}'}, "is not closed"),
        ({"content": '{"subject": 1}'}, "object of texts"),
        ({"content": "{"}, "Enter a valid JSON."),
        ({"locales": '{"de": 1}'}, "one for each locale"),
        ({"slug": "a b"}, "Letters, digits"),
        ({"channel": "pigeon"}, "valid choice"),
    ],
)
def test_a_mistake_is_told_beside_its_field(operator, tenant, facts, told):
    page = operator.post(address("template"), form(tenant, **facts))

    assert page.status_code == 200
    assert told in page.content.decode()
    assert not Template.objects.exists()


def test_codes_are_put_into_a_pool_line_by_line(operator, tenant):
    given = {"tenant": str(tenant.pk), "slug": "spring", "name": "Spring", "codes": "A\r\nB\n\n A "}
    assert operator.post(address("couponpool"), given).status_code == 302
    pool = CouponPool.objects.get()
    again = {"name": "Spring", "codes": "B\nC"}
    assert operator.post(address("couponpool", "change", pool.pk), again).status_code == 302

    assert pools.counts(pool) == {"total": 3, "given": 0, "left": 3}


def test_a_link_leads_to_the_web_alone(operator, tenant):
    given = {"tenant": str(tenant.pk), "slug": "survey", "url": "https://example.com/"}

    for wrong in ({"url": "javascript:alert(1)"}, {"url": "ftp://example.com"}, {"slug": "unsubscribe"}):
        assert operator.post(address("link"), {**given, **wrong}).status_code == 200
    assert operator.post(address("link"), given).status_code == 302
    assert Link.objects.get().url == "https://example.com/"


@pytest.mark.parametrize("model", ["template", "templateversion", "link", "couponpool", "coupon"])
def test_lists_and_rows_are_shown(operator, tenant, model):
    made = store.create(tenant, "welcome", channel="email", parts=CONTENT, name="Welcome")
    pool = CouponPool.objects.create(tenant=tenant, slug="spring", created_at=made.created_at)
    pools.add(pool, ["A"])
    link = Link.objects.create(tenant=tenant, slug="survey", url="https://example.com", created_at=made.created_at)
    rows = {
        "template": made,
        "templateversion": TemplateVersion.objects.get(),
        "link": link,
        "couponpool": pool,
        "coupon": pool.coupons.get(),
    }

    for query in ({}, {"q": str(pool.pk)}, {"q": "welcome"}):
        assert operator.get(address(model, "changelist"), query).status_code == 200
    assert operator.get(address(model, "change", rows[model].pk)).status_code == 200
