"""A kept connection is asked whether it works only where there is reason to doubt it."""

import pytest
from django.db import close_old_connections, connection

from engine.connections import SideConnection
from kalcifer import kept_connections
from tests.support.processes import wait_for


@pytest.fixture
def kept(transactional_db):
    """This thread's connection, as a worker keeps it between two tasks."""
    connection.close()
    connection.ensure_connection()
    connection.health_check_enabled = True
    yield connection
    connection.close()


def pid():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def between_tasks():
    close_old_connections()
    kept_connections.trust_quiet()


def test_a_quiet_connection_is_kept_and_not_asked(kept):
    before = pid()

    between_tasks()

    assert kept.health_check_done
    assert pid() == before


def test_one_that_its_server_has_closed_is_asked_and_replaced(kept):
    before = pid()
    session, _ = SideConnection().get()
    with session:
        session.execute("SELECT pg_terminate_backend(%s)", [before])
    wait_for(lambda: not kept_connections._is_quiet(kept), seconds=60)

    between_tasks()

    assert not kept.health_check_done
    assert pid() != before


def test_one_that_is_closed_on_this_side_is_replaced(kept):
    before = pid()
    kept.connection.close()

    between_tasks()

    assert pid() != before
