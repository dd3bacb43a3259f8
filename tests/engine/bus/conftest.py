"""A bus with nothing subscribed, and hands that do what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from engine import activity_worker
from engine.bus import EventBus, local, subscriptions
from engine.bus import handlers as known
from engine.projections import registry
from tenants.models import Tenant
from tests.engine.bus import handlers


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Subscriptions are the process's; each test has its own."""
    monkeypatch.setattr(subscriptions, "_of_tenant", {})
    monkeypatch.setattr(known, "_named", {})
    handlers.told.clear()
    handlers.contexts.clear()
    activity_worker._worker.clear()
    with registry.preserved():
        yield
    local.hands.close()


@pytest.fixture
def bus(tenant: Tenant) -> EventBus:
    return EventBus(tenant)


@pytest.fixture
def work() -> Callable[[], None]:
    """Do all deliveries that can be done, however long they were to wait for another attempt."""

    def do() -> None:
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE activities SET due_at = clock_timestamp() - interval '1 s' WHERE status = 'pending'"
                )
                if not cursor.rowcount:
                    return
            activity_worker.run(slice_s=5.0)

    return do
