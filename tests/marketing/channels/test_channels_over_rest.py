"""Channels over REST: checked before they are kept, their credentials never shown again."""

from __future__ import annotations

import pytest

from marketing.channels import accounts
from marketing.channels.provider import Account
from marketing.models import Channel
from tests.engine.api.conftest import codes

SENDGRID = {
    "name": "main", "channel": "email", "provider": "sendgrid", "config": {"from_email": "us@example.com"},
    "credentials": {"api_key": "SG.very-secret"},
}  # fmt: skip


def test_a_channel_is_set_up_changed_and_deleted(api, agree, tenant):
    made = agree(api, "post", "/api/v1/channels", {**SENDGRID, "rate_per_second": 50})
    assert made.status_code == 201
    channel = made.json()
    assert (channel["is_default"], channel["enabled"], channel["has_credentials"]) == (True, True, True)
    assert channel["health"] == {"state": "working", "failures": 0, "rests_until": None}

    account = accounts.account_for(tenant.pk, "email")
    assert isinstance(account, Account)
    assert (account.provider.name, account.rate_per_second) == ("sendgrid", 50)
    assert account.credentials.api_key.get_secret_value() == "SG.very-secret"

    changed = agree(
        api, "patch", "/api/v1/channels/{channel_id}", {"rate_per_second": None, "enabled": False},
        channel_id=channel["id"],
    )  # fmt: skip
    assert (changed.json()["rate_per_second"], changed.json()["enabled"]) == (None, False)
    assert accounts.account_for(tenant.pk, "email") is None

    assert agree(api, "delete", "/api/v1/channels/{channel_id}", channel_id=channel["id"]).status_code == 204
    assert agree(api, "get", "/api/v1/channels/{channel_id}", channel_id=channel["id"]).status_code == 404


def test_credentials_are_nowhere_to_be_seen(api, tenant):
    answers = [
        api.post("/api/v1/channels", SENDGRID),
        api.post("/api/v1/channels", {**SENDGRID, "name": "bad", "credentials": {"api_key": ["SG.very-secret"]}}),
        api.post("/api/v1/channels", {**SENDGRID, "name": "bad", "credentials": {"SG.very": "SG.very-secret"}}),
        api.post("/api/v1/channels", {**SENDGRID, "name": "bad", "credentials": "SG.very-secret"}),
        api.get("/api/v1/channels"),
    ]

    assert [answer.status_code for answer in answers] == [201, 400, 400, 400, 200]
    assert not any(b"very-secret" in answer.content for answer in answers)
    row = Channel.objects.get()
    assert "very-secret" not in f"{row.ciphertext} {row.config}"
    assert "very-secret" not in repr(accounts.account_for(tenant.pk, "email"))


@pytest.mark.parametrize(
    ("change", "attr", "code"),
    [
        ({"provider": "carrier-pigeon"}, "provider", "unknown_provider"),
        ({"channel": "sms"}, "provider", "unknown_provider"),
        ({"channel": "telepathy"}, "channel", "invalid_choice"),
        ({"config": {}}, "config.from_email", "invalid"),
        ({"config": {"from_email": "us@example.com", "form_name": "x"}}, "config.form_name", "invalid"),
        ({"config": {"from_email": "nobody"}}, "config.from_email", "invalid"),
        ({"credentials": {}}, "credentials.api_key", "invalid"),
        ({"credentials": {"api_key": 5}}, "credentials.api_key", "invalid"),
        ({"name": "two words"}, "name", "invalid"),
        ({"rate_per_second": 0}, "rate_per_second", "min_value"),
        ({"surprise": 1}, "surprise", "unknown_field"),
    ],
)
def test_what_is_wrong_is_named(api, change, attr, code):
    answer = api.post("/api/v1/channels", SENDGRID | change)

    assert answer.status_code == 400
    assert [(each["attr"], each["code"]) for each in answer.json()["errors"]] == [(attr, code)]
    assert not Channel.objects.exists()


def test_names_are_taken_once_and_there_is_one_default(api):
    first = api.post("/api/v1/channels", SENDGRID).json()
    assert codes(api.post("/api/v1/channels", SENDGRID)) == ["name_taken"]

    second = api.post("/api/v1/channels", {**SENDGRID, "name": "backup"}).json()
    assert second["is_default"] is False
    third = api.post("/api/v1/channels", {**SENDGRID, "name": "third", "is_default": True}).json()
    assert third["is_default"] is True

    listed = {each["id"]: each["is_default"] for each in api.get("/api/v1/channels?channel=email").json()["results"]}
    assert listed == {first["id"]: False, second["id"]: False, third["id"]: True}


def test_credentials_do_not_move_to_another_address(api):
    """Whoever may change the address could otherwise have them sent there."""
    channel = api.post("/api/v1/channels", SENDGRID).json()
    moved = {"config": {"from_email": "us@example.com", "api_url": "https://evil.example"}}

    answer = api.patch(f"/api/v1/channels/{channel['id']}", moved)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == "credentials"
    renamed = {"config": {"from_email": "you@example.com"}}
    assert api.patch(f"/api/v1/channels/{channel['id']}", renamed).status_code == 200
    anew = {**moved, "credentials": {"api_key": "another"}}
    assert api.patch(f"/api/v1/channels/{channel['id']}", anew).status_code == 200


def test_a_named_account_and_the_default_one_are_found(api, tenant, settings):
    settings.KALCIFER_DEFAULT_PROVIDER = "none"
    api.post("/api/v1/channels", SENDGRID)
    api.post("/api/v1/channels", {**SENDGRID, "name": "backup"})

    assert accounts.account_for(tenant.pk, "email").name == "main"
    assert accounts.account_for(str(tenant.pk), "email", "backup").name == "backup"
    assert accounts.account_for(tenant.pk, "email", "nobody") is None
    wanted = ["email", "email:backup", "email:nobody", "sms", "in_app", "in_app:x"]
    assert accounts.usable(tenant.pk, wanted) == {"email", "email:backup", "in_app"}


def test_who_has_set_up_nothing_sends_to_the_log(tenant):
    assert accounts.account_for(tenant.pk, "push").provider.name == "log"
    assert accounts.account_for(tenant.pk, "push", "mine") is None


def test_who_has_switched_a_channel_off_sends_nothing(api, tenant):
    api.post("/api/v1/channels", {**SENDGRID, "enabled": False})

    assert accounts.account_for(tenant.pk, "email") is None


def test_credentials_of_another_key_are_as_good_as_none(channel_of, tenant, settings):
    channel_of("sendgrid", config={"from_email": "us@example.com"}, credentials={"api_key": "x"})
    settings.ENCRYPTION_KEY = "another"

    assert accounts.account_for(tenant.pk, "email") is None


def test_a_sample_sends_to_the_log(tenant):
    accounts.send_to_log(tenant)
    accounts.send_to_log(tenant)

    assert accounts.account_for(tenant.pk, "sms").provider.name == "log"
    assert Channel.objects.count() == 4


def test_providers_describe_what_they_need(api, agree):
    answer = agree(api, "get", "/api/v1/channels/providers").json()

    found = {each["name"]: each for each in answer["results"]}
    assert {"log", "in_app", "smtp", "sendgrid", "postmark", "mailgun", "twilio", "fcm", "webhook"} <= set(found)
    assert "host" in found["smtp"]["config_schema"]["properties"]
    assert found["twilio"]["channels"] == ["sms", "whatsapp"]


def test_another_tenant_sees_no_channel(api, client_of, other_tenant, channel_of):
    theirs = channel_of(of=other_tenant)

    assert api.get("/api/v1/channels").json()["results"] == []
    for method in ("get", "patch", "delete"):
        assert getattr(api, method)(f"/api/v1/channels/{theirs.pk}", {}).status_code == 404
    assert client_of(other_tenant, "viewer").post("/api/v1/channels", SENDGRID).status_code == 403


def test_addresses_are_suppressed_and_set_free(api, agree):
    made = agree(api, "post", "/api/v1/suppressions", {"channel": "sms", "address": "+49 (151) 1", "note": "asked"})
    assert made.status_code == 201
    row = made.json()
    assert (row["address"], row["reason"], row["detail"]["note"]) == ("+491511", "manual", "asked")
    assert codes(api.post("/api/v1/suppressions", {"channel": "sms", "address": "0049151-1"})) == ["name_taken"]

    assert len(agree(api, "get", "/api/v1/suppressions").json()["results"]) == 1
    for query, count in (("channel=sms", 1), ("channel=email", 0), ("address=%2B49%201511", 1), ("address=x@y.z", 0)):
        assert len(api.get(f"/api/v1/suppressions?{query}").json()["results"]) == count

    one = {"suppression_id": row["id"]}
    assert agree(api, "get", "/api/v1/suppressions/{suppression_id}", **one).status_code == 200
    assert agree(api, "delete", "/api/v1/suppressions/{suppression_id}", **one).status_code == 204
    assert api.get(f"/api/v1/suppressions/{row['id']}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": "sms", "address": "abc"},
        {"channel": "x", "address": "a"},
        {"channel": "email", "address": "a\0"},
    ],
)
def test_what_is_no_address_is_refused(api, body):
    assert api.post("/api/v1/suppressions", body).status_code == 400


def test_another_tenants_suppressions_are_not_there(api, client_of, other_tenant):
    row = client_of(other_tenant).post("/api/v1/suppressions", {"channel": "email", "address": "a@b.c"}).json()

    assert api.get("/api/v1/suppressions?address=a@b.c").json()["results"] == []
    assert api.delete(f"/api/v1/suppressions/{row['id']}").status_code == 404
    assert api.post("/api/v1/suppressions", {"channel": "email", "address": "a@b.c"}).status_code == 201
