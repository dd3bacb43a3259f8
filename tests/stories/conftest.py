"""Stories run in real time: nothing is frozen, doorbells are real."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import clock
from engine.nodes import registry
from kalcifer.supervisor import Supervisor
from tests.engine.conftest import flow_of, tenant
from tests.support.hostile import nodes

__all__ = ["flow_of", "tenant"]


@pytest.fixture(autouse=True)
def hostile_nodes() -> Iterator[None]:
    with registry.preserved():
        nodes.register()
        clock.resync()
        yield


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Where side effects leave their keys."""
    return tmp_path / "trace"


@pytest.fixture
def workers(real_workers: Callable[..., Supervisor], trace: Path) -> Callable[..., Supervisor]:
    """Starts processes that know the hostile node types."""

    def start(*roles: str, environment: dict[str, str] | None = None, **options: Any) -> Supervisor:
        own = {"DJANGO_SETTINGS_MODULE": "tests.support.hostile.settings", nodes.TRACE: str(trace)}
        return real_workers(*roles, environment=own | (environment or {}), **options)

    return start
