"""Clients of tenants, and the schema that they are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from tenants import authentication, keys, throttling
from tenants.models import Role, Tenant
from tests.support.openapi import mismatches


@pytest.fixture(autouse=True)
def forget_between_tests() -> Iterator[None]:
    """What a process remembers of keys and rates belongs to one test's database."""
    yield
    authentication.forget()
    throttling.forget()


@pytest.fixture
def client_of() -> Callable[..., APIClient]:
    """Make a client of a tenant, with a key of the role."""

    def make(tenant: Tenant, role: str = Role.EDITOR) -> APIClient:
        _, raw = keys.issue(tenant, name=f"{role} of the test", role=role)
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        return client

    return make


@pytest.fixture
def api(tenant: Tenant, client_of: Callable[..., APIClient]) -> APIClient:
    return client_of(tenant)


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture
def agree(schema: dict[str, Any]) -> Callable[..., Any]:
    """Call an operation and compare its answer with the schema."""

    def call(client: APIClient, method: str, template: str, body: object = None, **names: str) -> Any:
        answer = getattr(client, method)(template.format(**names), body)
        assert mismatches(schema, template, method, answer) == []
        return answer

    return call


def codes(answer: Any) -> list[str]:
    return [problem["code"] for problem in answer.json()["errors"]]
