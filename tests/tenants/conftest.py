"""Tenants, their keys, and clients that call with them."""

from collections.abc import Callable, Iterator

import pytest
from rest_framework.test import APIClient

from tenants import authentication, keys, throttling
from tenants.models import Role, Tenant


@pytest.fixture(autouse=True)
def keys_stay_known() -> None:
    """Here for no longer than in the product."""


@pytest.fixture(autouse=True)
def forget_between_tests() -> Iterator[None]:
    """What a process remembers of keys and rates belongs to one test's database."""
    yield
    authentication.forget()
    throttling.forget()


@pytest.fixture
def tenant(db: None) -> Tenant:
    return Tenant.objects.create(name="Acme")


@pytest.fixture
def other_tenant(db: None) -> Tenant:
    return Tenant.objects.create(name="Other")


@pytest.fixture
def client_of() -> Callable[..., APIClient]:
    """Make a client of a tenant, with a key of the role."""

    def make(tenant: Tenant, role: str = Role.ADMIN) -> APIClient:
        _, raw = keys.issue(tenant, name=f"{role} of the test", role=role)
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        return client

    return make


@pytest.fixture
def api(tenant: Tenant, client_of: Callable[..., APIClient]) -> APIClient:
    return client_of(tenant)
