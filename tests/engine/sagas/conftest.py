"""The language of the tests of sagas: steps, sagas that are followed, workers that do what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from engine import activities, activity_worker
from engine.leases import Lease
from engine.models import Activity, SagaRun, StoredEvent
from engine.sagas import activities as saga_activities
from engine.sagas import controls, loop, starting
from engine.sagas.builder import Saga, SagaStep
from tenants.models import Tenant
from tests.engine.sagas import calls


@pytest.fixture(autouse=True)
def own_hands() -> Iterator[None]:
    activity_worker._worker.clear()
    calls.forget()
    yield
    calls.forget()
    activity_worker._worker.clear()


def step(name: str, action: Callable[..., Any] = calls.note, **more: Any) -> SagaStep:
    """A step that notes its name, and takes it back."""
    return SagaStep(name, action, **{"compensation": calls.undo, "args": [name], **more})


@dataclass
class Followed:
    """A saga under test."""

    name: str
    tenant: Tenant

    @property
    def row(self) -> SagaRun:
        return SagaRun.objects.get(tenant=self.tenant, name=self.name)

    @property
    def status(self) -> dict[str, Any]:
        return controls.get_saga_status_sync(self.name, tenant=self.tenant)

    @property
    def state(self) -> str:
        return self.row.status

    @property
    def events(self) -> list[str]:
        return [each.type for each in self.stored]

    @property
    def stored(self) -> list[StoredEvent]:
        return list(StoredEvent.objects.filter(aggregate_id=self.row.id).order_by("sequence"))

    def step(self, name: str) -> dict[str, Any]:
        return next(each for each in self.row.steps if each["name"] == name)


@pytest.fixture
def begin(tenant: Tenant) -> Callable[..., Followed]:
    """Start a saga of these steps on the workers."""

    def start(*steps: SagaStep, name: str = "order-1", of: Tenant | None = None, **how: Any) -> Followed:
        starting.start_saga_sync(Saga(name, steps=list(steps)), name, tenant=of or tenant, **how)
        return Followed(name, of or tenant)

    return start


def work() -> None:
    """Do what is due until nothing is, retries included."""
    while True:
        moved = loop.run(slice_s=5.0) + activity_worker.run(slice_s=5.0)
        if not moved and not make_due():
            return


def make_due() -> int:
    """Let the pauses before further attempts be over; give how many were waiting."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activities SET due_at = clock_timestamp() WHERE status = 'pending'")
        return cursor.rowcount


def lease(limit: int = 10) -> list[Lease]:
    """Take what is due, as a worker does that then never comes back."""
    return activities.take(limit, "somebody")


def expire_leases() -> None:
    """Let a worker's leases run out, and hand on what it held."""
    Activity.objects.filter(status="running").update(lease_until="2000-01-01T00:00:00Z")
    activities.reclaim({"actor": "sweep", "task_id": ""})


def record(*leases: Lease) -> None:
    """Do what was leased, and record what came of it."""
    ended = [activities.judge(each, saga_activities.call(each)) for each in leases]
    activities.record(ended, {"actor": "test", "task_id": ""})
