"""
The language of the engine's tests: flows from small graphs, a clock that stands still, participants that are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import bells, clock
from engine.nodes import registry
from flows import lifecycle
from flows.models import Flow
from tenants.models import Tenant
from tests.support.passage import Passage

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class FakeClock:
    """Engine time of this process, moved by hand."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __call__(self) -> datetime:
        return self._held.frozen

    def advance(self, **span: float) -> None:
        self._held.frozen += timedelta(**span)

    def move_to(self, moment: datetime) -> None:
        self._held.frozen = moment


@pytest.fixture(autouse=True)
def fake_time() -> Iterator[FakeClock]:
    with clock.frozen(NOON) as held:
        yield FakeClock(held)


@pytest.fixture
def now(fake_time: FakeClock) -> FakeClock:
    return fake_time


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[bells.Bell]:
    """Doorbells are recorded, not published."""
    heard: list[bells.Bell] = []

    def ring(bell: bells.Bell, **_: Any) -> bool:
        heard.append(bell)
        return True

    monkeypatch.setattr(bells.ringer, "ring", ring)
    return heard


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.preserved():
        yield


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="Acme")


@pytest.fixture
def other_tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="Other")


@pytest.fixture
def flow_of(tenant: Tenant) -> Callable[..., Flow]:
    """Make an active flow of a graph."""

    def make(graph: dict[str, Any], *, name: str = "flow", of: Tenant | None = None) -> Flow:
        flow = lifecycle.create(of or tenant, name, graph=graph)
        return lifecycle.activate(flow)

    return make


@pytest.fixture
def passage(flow_of: Callable[..., Flow]) -> Callable[..., Passage]:
    """Make an active flow of a graph and a participant who is to go through it."""

    def make(graph: dict[str, Any] | Flow, participant_id: str = "ada") -> Passage:
        return Passage(graph if isinstance(graph, Flow) else flow_of(graph), participant_id)

    return make
