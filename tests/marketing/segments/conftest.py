"""What tests of segments need besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest
from django.db import connection


@pytest.fixture
def elsewhere(transactional_db: None) -> Callable[[str], AbstractContextManager[None]]:
    """Hold what a statement locks, on another connection, for the time of a block."""

    @contextmanager
    def hold(statement: str) -> Iterator[None]:
        parameters = connection.get_connection_params()
        for name in ("cursor_factory", "context"):
            parameters.pop(name, None)
        with psycopg.connect(**parameters) as other:
            other.execute(statement)
            yield

    return hold
