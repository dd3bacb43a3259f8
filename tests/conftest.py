"""Fixtures of every test: servers of the suite's own, a database and a Redis prefix per worker."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from kalcifer.supervisor import Options, Supervisor
from tenants import authentication
from tests.support import flushing, processes, servers


def pytest_unconfigure(config: pytest.Config) -> None:
    """Clear away what the suite used; the workers of pytest-xdist leave that to their controller."""
    if not hasattr(config, "workerinput"):
        servers.clear_away()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Mark what needs the database or starts processes, by a mark or by a fixture, for `make test-fast` to leave it out.

    What starts processes comes first: it takes long, and at the end one worker would wait for the other.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or fixtures & {"db", "transactional_db"}:
            item.add_marker("database")
        if fixtures & {"real_workers", "process_environment"}:
            item.add_marker("processes")
    items.sort(key=lambda item: item.get_closest_marker("processes") is None)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database of this worker, copied from the template that the first worker migrated."""
    with django_db_blocker.unblock():
        servers.create_database()
        flushing.keep_what_migrations_wrote()
    yield
    with django_db_blocker.unblock():
        connection.close()
        servers.drop_database()


@pytest.fixture(autouse=True)
def keys_stay_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever counts statements counts none of those that look a key up again, however slow the machine is."""
    monkeypatch.setattr(authentication, "CACHE_SECONDS", 600.0)


@pytest.fixture
def real_workers(transactional_db: None, tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    """Starts real processes on this test's database: `real_workers("advance", "activities", workers=2)`."""
    with ExitStack() as running:

        def start(*roles: str, environment: dict[str, str] | None = None, **options: Any) -> Supervisor:
            own = {"DJANGO_SETTINGS_MODULE": "kalcifer.settings", "KALCIFER_LOG_LEVEL": "INFO"}
            plan = Options(
                roles=roles or ("advance", "activities", "background"),
                database_url=servers.database_url(),
                environment=processes.KEEPS_BYTECODE | own | (environment or {}),
                logs=tmp_path,
                **{"workers": 1, "web_workers": 1} | options,
            )
            supervisor = running.enter_context(Supervisor(plan))
            assert supervisor.wait_ready(120), processes.logs_in(tmp_path)
            return supervisor

        yield start


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment in which another process sees this test's database and doorbells."""
    return processes.environment(
        DATABASE_URL=servers.database_url(),
        REDIS_URL=settings.REDIS_URL,
        KALCIFER_REDIS_PREFIX=settings.KALCIFER_REDIS_PREFIX,
    )
