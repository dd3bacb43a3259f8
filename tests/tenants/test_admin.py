"""The admin of tenants: every page opens, the raw key is shown once, nothing secret ever."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tenants import authentication, keys, vault
from tenants.models import ApiKey, IdempotencyKey, Secret, Tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def rows(tenant: Tenant) -> dict[str, object]:
    key, _raw = keys.issue(tenant, name="ci")
    vault.store(tenant, name="token", value="s3cret")
    IdempotencyKey.objects.create(tenant=tenant, key="k", fingerprint="f", status_code=201, body="{}")
    return {
        "tenant": tenant,
        "apikey": key,
        "secret": Secret.objects.get(),
        "idempotencykey": IdempotencyKey.objects.get(),
    }


@pytest.mark.parametrize("model", ["tenant", "apikey", "secret", "idempotencykey"])
def test_pages_open_and_hide_secrets(admin: Client, rows: dict[str, object], model: str) -> None:
    pages = [
        f"/admin/tenants/{model}/",
        f"/admin/tenants/{model}/?q=c",
        f"/admin/tenants/{model}/{rows[model].pk}/change/",
    ]  # type: ignore[attr-defined]
    if model != "idempotencykey":
        pages.append(f"/admin/tenants/{model}/add/")
    hidden = [ApiKey.objects.get().api_key_hash, "s3cret", Secret.objects.get().ciphertext]
    for page in pages:
        answer = admin.get(page)
        assert answer.status_code == 200, page
        assert not [secret for secret in hidden if secret in answer.content.decode()]


def test_list_of_keys_asks_as_much_for_many_as_for_few(
    admin: Client, tenant: Tenant, django_assert_max_num_queries: object
) -> None:
    for _ in range(30):
        keys.issue(tenant)
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        assert admin.get("/admin/tenants/apikey/").status_code == 200


def test_new_key_is_shown_once(admin: Client, tenant: Tenant) -> None:
    form = {
        "tenant": str(tenant.pk),
        "name": "ci",
        "role": "viewer",
        "expires_at_0": "",
        "expires_at_1": "",
        "_continue": "1",
    }
    shown = admin.post("/admin/tenants/apikey/add/", form, follow=True)
    key = ApiKey.objects.get()
    (raw,) = re.findall(r"kal_[\w-]{40,}", shown.content.decode())
    assert authentication.identify(raw).key_id == key.pk
    assert raw not in admin.get(f"/admin/tenants/apikey/{key.pk}/change/").content.decode()


def test_revoking_in_a_list(admin: Client, tenant: Tenant) -> None:
    key, _ = keys.issue(tenant)
    admin.post("/admin/tenants/apikey/", {"action": "revoke", "_selected_action": [str(key.pk)]})
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_secret_is_set_and_replaced(admin: Client, tenant: Tenant) -> None:
    form = {"tenant": str(tenant.pk), "name": "token", "value": ""}
    assert "needs a value" in admin.post("/admin/tenants/secret/add/", form).content.decode()
    admin.post("/admin/tenants/secret/add/", form | {"value": "one"})
    secret = Secret.objects.get()
    assert vault.read(tenant, "token") == "one"
    admin.post(f"/admin/tenants/secret/{secret.pk}/change/", form | {"name": "token2"})
    assert vault.read(tenant, "token2") == "one"


def test_every_list_says_what_it_holds(admin_client: Client) -> None:
    page = admin_client.get("/admin/tenants/apikey/").content.decode()

    assert "Keys: the raw text is shown once, in the message after adding; the hash never." in page


def test_where_there_is_one_tenant_it_is_chosen(admin: Client, tenant: Tenant) -> None:
    Tenant.objects.exclude(pk=tenant.pk).delete()
    alone = admin.get("/admin/tenants/secret/add/").context["adminform"].form.initial
    Tenant.objects.create(name="Other")
    one_of_two = admin.get("/admin/tenants/secret/add/").context["adminform"].form.initial

    assert (alone.get("tenant"), one_of_two.get("tenant")) == (tenant.pk, None)
