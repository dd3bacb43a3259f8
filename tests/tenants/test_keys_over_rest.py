"""Keys over REST: issued once in the clear, listed without it, revoked."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from tenants.models import ApiKey, Role, Tenant

pytestmark = pytest.mark.django_db


def test_issued_key_works_and_is_never_shown_again(api: APIClient) -> None:
    issued = api.post("/api/v1/keys", {"name": "ci", "role": "viewer"})
    assert issued.status_code == 201, issued.content
    raw = issued.json()["api_key"]
    holder = APIClient()
    holder.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
    assert holder.get("/api/v1/secrets").status_code == 200
    assert raw not in api.get("/api/v1/keys").content.decode()
    assert not ApiKey.objects.filter(api_key_hash=raw).exists()


def test_fields_of_a_key(api: APIClient) -> None:
    key = api.get("/api/v1/keys").json()["results"][0]
    assert set(key) == {"id", "name", "prefix", "role", "expires_at", "revoked_at", "last_used_at", "created_at"}
    assert api.get(f"/api/v1/keys/{key['id']}").json()["id"] == key["id"]


@pytest.mark.parametrize(
    ("body", "code", "attr"),
    [
        ({"role": "owner"}, "invalid_choice", "role"),
        ({"nam": "ci"}, "unknown_field", "nam"),
        ({"name": 5}, "invalid", "name"),
        ({"name": "x" * 256}, "max_length", "name"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "in_the_past", "expires_at"),
        ({"expires_at": "tomorrow"}, "invalid", "expires_at"),
        ({"expires_at": "2100-01-01T00:00:00"}, "naive", "expires_at"),
        ([], "invalid", None),
        ("text", "invalid", None),
    ],
)
def test_bad_key_is_refused_by_its_field(api: APIClient, body: object, code: str, attr: str | None) -> None:
    answer = api.post("/api/v1/keys", body)
    assert answer.status_code == 400
    assert answer.json()["type"] == "validation_error"
    assert [(error["code"], error["attr"]) for error in answer.json()["errors"]] == [(code, attr)]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
def test_only_admins_manage_keys(tenant: Tenant, client_of: Callable[..., APIClient], role: Role) -> None:
    client = client_of(tenant, role)
    assert client.get("/api/v1/keys").status_code == 403
    assert client.post("/api/v1/keys", {}).json()["errors"][0]["code"] == "permission_denied"


def test_revoking_twice_is_the_same(api: APIClient) -> None:
    key = api.post("/api/v1/keys", {}).json()
    assert api.delete(f"/api/v1/keys/{key['id']}").status_code == 204
    at = api.get(f"/api/v1/keys/{key['id']}").json()["revoked_at"]
    assert at
    assert api.delete(f"/api/v1/keys/{key['id']}").status_code == 204
    assert api.get(f"/api/v1/keys/{key['id']}").json()["revoked_at"] == at
