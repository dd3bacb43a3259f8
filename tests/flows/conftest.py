"""Flows on their own: no engine has registered anything, but the categories of a few types are known."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from flows import lifecycle, publishing
from flows.models import ExecutionStep, Flow, FlowInstance
from tenants import authentication, keys, throttling
from tenants.models import Role, Tenant
from tests.flows.graphs import category_of, line
from tests.support.races import tried_at_once

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what other apps registered, and what the process remembers of keys and rates."""
    monkeypatch.setattr(publishing, "registered", publishing.Registered(category_of=category_of))
    monkeypatch.setattr(lifecycle, "on_resume", [])
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

    def make(tenant: Tenant, role: str = Role.EDITOR) -> APIClient:
        _, raw = keys.issue(tenant, name=f"{role} of the test", role=role)
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {raw}")
        return client

    return make


@pytest.fixture
def api(tenant: Tenant, client_of: Callable[..., APIClient]) -> APIClient:
    return client_of(tenant)


@pytest.fixture
def flow(tenant: Tenant) -> Flow:
    """A flow in draft with one valid version."""
    return lifecycle.create(tenant, "Onboarding", graph=line())


@pytest.fixture
def instance_of() -> Callable[..., FlowInstance]:
    """Make an instance of an active flow, as the engine would have left it."""

    def make(flow: Flow, participant_id: str = "ada", **columns: Any) -> FlowInstance:
        defaults = {"entered_at": NOON, "updated_at": NOON, "status": "running", "version": flow.active_version}
        return FlowInstance.objects.create(
            tenant_id=flow.tenant_id, flow=flow, participant_id=participant_id, **(defaults | columns)
        )

    return make


@pytest.fixture
def step_of() -> Callable[..., ExecutionStep]:
    """Make a step of an instance."""

    def make(instance: FlowInstance, n: int, **columns: Any) -> ExecutionStep:
        defaults = {"node_id": f"n{n}", "node_type": "wait", "version": 1, "status": "completed"}
        times = {"started_at": NOON, "completed_at": NOON}
        return ExecutionStep.objects.create(
            tenant_id=instance.tenant_id, instance=instance, n=n, **(defaults | times | columns)
        )

    return make


@pytest.fixture
def in_parallel(transactional_db: None) -> Callable[..., list[Any]]:
    """Call functions at the same moment, each on a connection of its own; give what each returned or raised."""

    def run(*calls: Callable[[], Any]) -> list[Any]:
        return tried_at_once(calls)

    return run
