"""Tenants never meet; a view cannot forget it."""

from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from rest_framework.test import APIClient

from tenants.api.base import TenantView
from tenants.api.routing import OptionalSlash
from tenants.managers import TenantScopedQuerySet
from tenants.models import ApiKey, RateWindow, Secret, Tenant

# Views below /api/v1/ that answer without a key, and why.
WITHOUT_KEY = {
    "schema": "the contract is public",
    "docs": "pages of the contract",
    "redoc": "pages of the contract",
    "health": "asked by load balancers",
    "ready": "asked by load balancers",
    "metrics": "a key of its own, or loopback",
    "webhook": "signed by its sender",
    "sendgrid-callback": "signed by the provider",
    "twilio-callback": "signed by the provider",
    "provider-callback": "signed by the provider",
    "message-link": "a signed token",
    "message-link-below-api": "a signed token",
}


def api_urls(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        where = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from api_urls(pattern, where)
        elif where.startswith("api/v1/"):
            yield where, pattern


def test_every_view_of_the_api_knows_its_tenant() -> None:
    found = dict(api_urls(get_resolver()))
    assert "api/v1/keys" in found
    strays = [
        where
        for where, pattern in found.items()
        if not issubclass(getattr(pattern.callback, "cls", object), TenantView) and pattern.name not in WITHOUT_KEY
    ]
    assert strays == []


def test_every_url_of_the_api_takes_a_slash() -> None:
    assert [
        where for where, pattern in api_urls(get_resolver()) if not isinstance(pattern.pattern, OptionalSlash)
    ] == []


@pytest.fixture
def strangers(tenant: Tenant, other_tenant: Tenant, client_of: Callable[..., APIClient]) -> tuple[APIClient, APIClient]:
    return client_of(tenant), client_of(other_tenant)


@pytest.mark.django_db
def test_another_tenants_key_is_not_there(strangers: tuple[APIClient, APIClient]) -> None:
    mine, theirs = strangers
    key = theirs.post("/api/v1/keys", {"name": "theirs"}).json()
    for method in ("get", "delete"):
        answer = getattr(mine, method)(f"/api/v1/keys/{key['id']}")
        assert answer.status_code == 404
        assert answer.json() == {
            "type": "client_error",
            "errors": [{"code": "not_found", "detail": "There is no API key with this id.", "attr": None}],
        }
    assert key["id"] not in mine.get("/api/v1/keys").content.decode()
    assert theirs.get(f"/api/v1/keys/{key['id']}").json()["revoked_at"] is None


@pytest.mark.django_db
def test_secrets_of_one_name_are_two(strangers: tuple[APIClient, APIClient], other_tenant: Tenant) -> None:
    mine, theirs = strangers
    assert theirs.post("/api/v1/secrets", {"name": "token", "value": "theirs"}).status_code == 201
    assert mine.get("/api/v1/secrets/token").status_code == 404
    assert mine.delete("/api/v1/secrets/token").status_code == 404
    assert mine.post("/api/v1/secrets", {"name": "token", "value": "mine"}).status_code == 201
    assert mine.delete("/api/v1/secrets/token").status_code == 204
    assert Secret.objects.for_tenant(other_tenant).count() == 1


@pytest.mark.django_db
def test_cursor_of_one_tenant_shows_another_nothing(strangers: tuple[APIClient, APIClient]) -> None:
    mine, theirs = strangers
    for name in ("a", "b"):
        theirs.post("/api/v1/secrets", {"name": name, "value": "x"})
    following = theirs.get("/api/v1/secrets?page_size=1").json()["next"]
    assert mine.get(following).json()["results"] == []


@pytest.mark.django_db
def test_idempotency_keys_of_two_tenants_do_not_meet(strangers: tuple[APIClient, APIClient]) -> None:
    mine, theirs = strangers
    first = mine.post("/api/v1/keys", {}, headers={"idempotency-key": "one"}).json()
    second = theirs.post("/api/v1/keys", {"name": "b"}, headers={"idempotency-key": "one"})
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x", "1", "00000000-0000-0000-0000-000000000000", "%F0%9F%98%80", "a" * 3000, "None"])
def test_malformed_and_unknown_ids_are_not_there(api: APIClient, key: str) -> None:
    assert api.get(f"/api/v1/keys/{key}").status_code == 404


@pytest.mark.django_db
def test_session_of_an_operator_is_no_key(client: APIClient) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert client.get("/api/v1/secrets").status_code == 401


def test_every_model_of_a_tenant_can_be_narrowed_to_it() -> None:
    owned = [
        model
        for model in apps.get_models()
        if model is not RateWindow and any(field.attname == "tenant_id" for field in model._meta.concrete_fields)
    ]
    assert ApiKey in owned
    assert [model for model in owned if not isinstance(model._default_manager.all(), TenantScopedQuerySet)] == []
