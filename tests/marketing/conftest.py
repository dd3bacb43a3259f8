"""Marketing's tests speak the language of the engine's, and call with the clients of its API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import clock
from marketing.models import Customer
from tenants.models import Tenant
from tests.engine.api.conftest import agree, api, client_of, forget_between_tests, schema
from tests.engine.conftest import fake_time, flow_of, now, other_tenant, own_registry, passage, rung, tenant

__all__ = [
    "agree", "api", "client_of", "fake_time", "flow_of", "forget_between_tests", "now", "other_tenant", "own_registry",
    "passage", "rung", "schema", "tenant",
]  # fmt: skip


@pytest.fixture
def customer(tenant: Tenant) -> Callable[..., Customer]:
    """Make a customer of the tenant."""

    def make(external_id: str = "ada", **facts: Any) -> Customer:
        at = clock.now()
        given = {"tenant": tenant, "created_at": at, "updated_at": at, **facts}
        return Customer.objects.create(external_id=external_id, **given)

    return make
