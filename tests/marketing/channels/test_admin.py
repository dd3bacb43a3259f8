"""Channels and suppressions as operators see them."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from engine import clock
from marketing.channels import accounts, gate
from marketing.channels.provider import Transient
from marketing.models import Channel, Suppression


@pytest.fixture
def operator(client, transactional_db):
    client.force_login(get_user_model().objects.create_superuser("olga"))
    return client


def address(model, page="add", *names):
    return reverse(f"admin:marketing_{model}_{page}", args=names)


def form(tenant, **facts):
    return {
        "tenant": str(tenant.pk), "name": "main", "channel": "email", "provider": "sendgrid", "enabled": "on",
        "config": json.dumps({"from_email": "us@example.com"}), "credentials": '{"api_key": "SG.secret"}', **facts,
    }  # fmt: skip


def test_a_channel_is_set_up_and_its_credentials_stay_hidden(operator, tenant):
    assert operator.post(address("channel"), form(tenant, default="on")).status_code == 302
    main = Channel.objects.get()
    page = address("channel", "change", main.pk)
    assert "SG.secret" not in operator.get(page).content.decode()

    changed = form(tenant, name="renamed", credentials="", rate_per_second="5", default="on")
    assert operator.post(page, changed).status_code == 302

    account = accounts.account_for(tenant.pk, "email")
    assert (account.name, account.rate_per_second) == ("renamed", 5)
    assert account.credentials.api_key.get_secret_value() == "SG.secret"
    assert operator.get(address("channel", "changelist")).status_code == 200
    second = form(tenant, name="second", default="on")
    assert operator.post(address("channel"), second).status_code == 302
    assert accounts.account_for(tenant.pk, "email").name == "second"
    assert operator.post(address("channel", "delete", main.pk), {"post": "yes"}).status_code == 302
    assert Channel.objects.get().name == "second"


def test_mistakes_are_named_beside_their_fields(operator, tenant):
    operator.post(address("channel"), form(tenant))
    main = Channel.objects.get()
    moved = json.dumps({"from_email": "us@example.com", "api_url": "https://evil.example"})
    for page, facts, told in (
        ("add", {"name": "main"}, "There is a channel of this name"),
        ("add", {"name": "b", "config": "{}"}, "config.from_email: This is required"),
        ("add", {"name": "b", "credentials": "SG.secret"}, "has to be a JSON object"),
        ("add", {"name": "b", "credentials": "{}"}, "credentials.api_key: This is required"),
        ("add", {"name": "b", "channel": "sms"}, "carries email, not sms"),
        ("change", {"config": moved, "credentials": ""}, "given anew"),
    ):
        where = address("channel", page, *([main.pk] if page == "change" else []))
        answer = operator.post(where, form(tenant, **facts))
        assert answer.status_code == 200
        assert told in answer.content.decode()
        assert "SG.secret" not in answer.content.decode()
    assert Channel.objects.count() == 1


def test_a_resting_channel_is_opened_by_hand(operator, channel_of):
    channel = channel_of()
    account = accounts.account_of(channel)
    gate.tell(account, [Transient("http_503")] * 5)
    assert "resting until" in operator.get(address("channel", "change", channel.pk)).content.decode()

    operator.post(address("channel", "press", channel.pk, "open"))

    assert gate.pass_many(account, 5) == (5, None)


def test_an_address_is_suppressed_found_and_set_free(operator, tenant):
    given = {"tenant": str(tenant.pk), "channel": "email", "address": " Ada@Example.com"}
    assert operator.post(address("suppression"), given).status_code == 302
    assert "already" in operator.post(address("suppression"), given).content.decode()
    row = Suppression.objects.get()
    assert (row.address, row.reason, row.detail) == ("ada@example.com", "manual", {"by": "user:olga"})
    assert row.created_at == clock.now()

    found = operator.get(address("suppression", "changelist"), {"q": "ada@example.com"}).content.decode()
    assert str(row.pk) in found
    assert operator.post(address("suppression"), {**given, "channel": "sms"}).status_code == 200
    assert operator.post(address("suppression", "delete", row.pk), {"post": "yes"}).status_code == 302
    assert not Suppression.objects.exists()


def test_a_new_channel_begins_as_one_that_can_be_saved(operator, tenant):
    page = operator.get(address("channel"))
    fields = page.context["adminform"].form
    sent = {name: fields[name].value() for name in ("channel", "provider")}
    assert fields["config"].value() == "{}"
    assert "Password" in type(fields.fields["credentials"].widget).__name__
    for told in ("<b>SendGrid</b>: <code>from_email</code> (required)", "<code>api_key</code> (required)"):
        assert told in page.content.decode()

    assert operator.post(address("channel"), {"tenant": str(tenant.pk), "name": "first", "config": "{}", **sent})

    assert Channel.objects.get().provider == "log"


def test_the_page_of_a_channel_tells_of_its_own_provider(operator, tenant):
    operator.post(address("channel"), form(tenant))

    page = operator.get(address("channel", "change", Channel.objects.get().pk)).content.decode()

    assert "<b>SendGrid</b>" in page
    assert "<b>SMTP</b>" not in page


def test_who_may_only_look_sees_what_is_kept(operator, client, tenant):
    operator.post(address("channel"), form(tenant))
    viewer = get_user_model().objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_channel"))
    client.force_login(viewer)

    page = client.get(address("channel", "change", Channel.objects.get().pk)).content.decode()

    assert "Has credentials" in page
    assert "Is default" in page
    assert "SG.secret" not in page
