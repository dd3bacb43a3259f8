"""Bearer keys: who is let in, until when, and what a 401 says."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils.timezone import now
from rest_framework.test import APIClient

from tenants import authentication, keys
from tenants.models import ApiKey, Role, Tenant

URL = "/api/v1/secrets"


def status_with(header: str | None) -> tuple[int, str | None]:
    client = APIClient(raise_request_exception=False)
    answer = client.get(URL, headers={"authorization": header} if header is not None else {})
    if answer.status_code == 401:
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer.json()["errors"][0]["detail"]
    return answer.status_code, answer.json()["errors"][0]["code"] if answer.status_code >= 400 else None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer kal_unknown",
        "Basic dXNlcjpwYXNz",
        "Token abc",
        "Bearer \x00",
        "Bearer é",
        "bearer  ",
    ],
)
def test_no_key_no_answer(header: str | None) -> None:
    status, _ = status_with(header)
    assert status == 401


@pytest.mark.django_db
def test_key_is_let_in_whatever_the_case_of_bearer(tenant: Tenant) -> None:
    _, raw = keys.issue(tenant)
    assert status_with(f"Bearer {raw}")[0] == 200
    assert status_with(f"bearer  {raw} ")[0] == 200
    assert status_with(f"Bearer {raw}x")[0] == 401
    assert status_with(f"Bearer {ApiKey.objects.get().api_key_hash}")[0] == 401


@pytest.mark.django_db
def test_expired_key(tenant: Tenant) -> None:
    _, raw = keys.issue(tenant, expires_at=now() - timedelta(seconds=1))
    assert status_with(f"Bearer {raw}") == (401, "key_expired")


@pytest.mark.django_db(transaction=True)
def test_expiry_is_exact_also_for_a_key_in_memory(tenant: Tenant) -> None:
    expires_at = now() + timedelta(milliseconds=800)
    _, raw = keys.issue(tenant, expires_at=expires_at)
    assert authentication.identify(raw).tenant == tenant

    accepted_at = last_accepted(raw)

    slack = timedelta(milliseconds=50)
    assert accepted_at - slack < expires_at < now() + slack


@pytest.mark.django_db(transaction=True)
def test_revocation_elsewhere_takes_effect_within_two_seconds(tenant: Tenant) -> None:
    key, raw = keys.issue(tenant)
    assert authentication.identify(raw)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=now())
    revoked_at = now()

    assert last_accepted(raw) - revoked_at < timedelta(seconds=2)


def last_accepted(raw: str) -> datetime:
    """Use a key until it is refused; give when the last use began that was not."""
    pause, accepted_at = threading.Event(), now()
    while True:
        asked_at = now()
        try:
            authentication.identify(raw)
        except authentication.AuthenticationFailed:
            return accepted_at
        accepted_at = asked_at
        pause.wait(0.01)


@pytest.mark.django_db(transaction=True)
def test_last_use_is_noted_once_a_minute(tenant: Tenant, django_assert_num_queries: Callable[[int], object]) -> None:
    key, raw = keys.issue(tenant)
    assert status_with(f"Bearer {raw}")[0] == 200
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    authentication.forget()
    assert status_with(f"Bearer {raw}")[0] == 200
    key.refresh_from_db()
    assert key.last_used_at == first
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=now() - timedelta(seconds=61))
    authentication.forget()
    assert status_with(f"Bearer {raw}")[0] == 200
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at > first


@pytest.mark.django_db
def test_known_key_costs_no_query(tenant: Tenant, django_assert_num_queries: Callable[[int], object]) -> None:
    _, raw = keys.issue(tenant)
    authentication.identify(raw)
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        authentication.identify(raw)


@pytest.mark.django_db
def test_roles(tenant: Tenant, client_of: Callable[..., APIClient]) -> None:
    viewer, editor = client_of(tenant, Role.VIEWER), client_of(tenant, Role.EDITOR)
    assert viewer.get(URL).status_code == 200
    refused = viewer.post(URL, {"name": "token", "value": "x"})
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["code"] == "permission_denied"
    assert editor.post(URL, {"name": "token", "value": "x"}).status_code == 201


@pytest.mark.django_db
def test_prefix_is_what_is_seen_of_a_key(tenant: Tenant) -> None:
    key, raw = keys.issue(tenant)
    assert raw.startswith(key.prefix)
    assert len(key.prefix) < len(raw) / 3
    assert raw not in str(ApiKey.objects.values().get())
