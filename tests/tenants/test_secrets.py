"""Secrets: written over REST, read by the product alone."""

import pytest
from django.conf import settings as project
from pytest_django import Settings
from rest_framework.test import APIClient

from tenants import vault
from tenants.errors import UnknownSecret
from tenants.models import Secret, Tenant

URL = "/api/v1/secrets"

pytestmark = pytest.mark.django_db


def test_value_is_write_only(api: APIClient, tenant: Tenant) -> None:
    created = api.post(URL, {"name": "smtp.password", "value": " s3cret "})
    assert created.status_code == 201
    assert set(created.json()) == {"name", "created_at", "updated_at"}
    for answer in (created, api.get(URL), api.get(f"{URL}/smtp.password")):
        assert "s3cret" not in answer.content.decode()
    assert "s3cret" not in Secret.objects.get().ciphertext
    assert vault.read(tenant, "smtp.password") == " s3cret "


def test_put_creates_and_replaces(api: APIClient, tenant: Tenant) -> None:
    assert api.put(f"{URL}/token", {"value": "one"}).status_code == 201
    assert api.put(f"{URL}/token", {"value": "two"}).status_code == 200
    assert vault.read(tenant, "token") == "two"
    assert api.put(f"{URL}/with space", {"value": "x"}).json()["errors"][0]["attr"] == "name"
    assert api.put(f"{URL}/token", {"values": "x"}).status_code == 400
    assert vault.read(tenant, "token") == "two"


def test_taken_name(api: APIClient, tenant: Tenant) -> None:
    api.post(URL, {"name": "token", "value": "one"})
    refused = api.post(URL, {"name": "token", "value": "two"})
    assert refused.status_code == 409
    assert refused.json()["errors"][0]["code"] == "name_taken"
    assert vault.read(tenant, "token") == "one"


def test_delete(api: APIClient, tenant: Tenant) -> None:
    api.put(f"{URL}/token", {"value": "one"})
    assert api.delete(f"{URL}/token").status_code == 204
    assert api.delete(f"{URL}/token").status_code == 404
    with pytest.raises(UnknownSecret, match="token"):
        vault.read(tenant, "token")


def test_key_can_be_replaced(tenant: Tenant, settings: Settings) -> None:
    vault.store(tenant, name="token", value="x")
    old = project.ENCRYPTION_KEY
    settings.ENCRYPTION_KEY = f"another, {old}"
    assert vault.read(tenant, "token") == "x"
    settings.ENCRYPTION_KEY = "another"
    with pytest.raises(vault.UnreadableSecret):
        vault.read(tenant, "token")
