"""Fixtures of every test: servers of the suite's own, a database and a Redis prefix per worker."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from tests.support import flushing, processes, servers


def pytest_unconfigure(config: pytest.Config) -> None:
    """Clear away what the suite used; the workers of pytest-xdist leave that to their controller."""
    if not hasattr(config, "workerinput"):
        servers.clear_away()


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


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment in which another process sees this test's database and doorbells."""
    return processes.environment(
        DATABASE_URL=servers.database_url(),
        REDIS_URL=settings.REDIS_URL,
        KALCIFER_REDIS_PREFIX=settings.KALCIFER_REDIS_PREFIX,
    )
