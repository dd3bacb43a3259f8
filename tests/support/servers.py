"""The suite's own servers, and the databases in them."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from kalcifer.embedded import servers
from kalcifer.embedded.layout import Layout

TEMPLATE = f"kalcifer_template_{settings.TEST_RUN}"
DATABASE = f"kalcifer_test_{settings.TEST_WORKER}"


def create_database() -> None:
    """Create this worker's database and point Django at it."""
    with _one_at_a_time(), _server() as server:
        if not _exists(server, TEMPLATE):
            _create_template(server)
        _run(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)
        _run(server, "CREATE DATABASE {} TEMPLATE {}", DATABASE, TEMPLATE)
        # Only a crash of the whole server could tell, and nobody crashes this one; each commit is spared the disk.
        _run(server, "ALTER DATABASE {} SET synchronous_commit = off", DATABASE)
    _point_django_at(DATABASE)


def drop_database() -> None:
    """Drop this worker's database, whoever is still connected to it."""
    with _server() as server:
        _run(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", DATABASE)


def database_url() -> str:
    """This worker's database for another process."""
    found = connection.settings_dict
    user = quote(found["USER"]) + (f":{quote(found['PASSWORD'])}" if found["PASSWORD"] else "")
    if found["HOST"].startswith("/"):
        return f"postgresql://{user}@/{found['NAME']}?host={found['HOST']}"
    return f"postgresql://{user}@{found['HOST']}:{found['PORT'] or 5432}/{found['NAME']}"


def clear_away() -> None:
    """End the run: drop the template on borrowed servers, stop and delete our own."""
    if settings.DATABASE_URL:
        with _server() as server:
            _run(server, "DROP DATABASE IF EXISTS {}", TEMPLATE)
    servers.stop_abandoned(Layout.of(settings.KALCIFER_DATA_DIR))
    shutil.rmtree(settings.KALCIFER_TEST_DIR, ignore_errors=True)


# Migrated under another name first, so that a template is either whole or absent.
def _create_template(server: psycopg.Connection[Any]) -> None:
    unfinished = f"{TEMPLATE}_unfinished"
    _run(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", unfinished)
    _run(server, "CREATE DATABASE {}", unfinished)
    _point_django_at(unfinished)
    call_command("migrate", verbosity=0, interactive=False)
    connection.close()
    _run(server, "ALTER DATABASE {} RENAME TO {}", unfinished, TEMPLATE)


def _point_django_at(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name
    settings.DATABASES["default"]["NAME"] = name


@contextmanager
def _server() -> Iterator[psycopg.Connection[Any]]:
    if not settings.DATABASE_URL:
        servers.ensure(settings.KALCIFER_DATA_DIR)
    found = connection.settings_dict
    address = {"host": found["HOST"], "port": found["PORT"], "user": found["USER"], "password": found["PASSWORD"]}
    with psycopg.connect(dbname="postgres", autocommit=True, **{k: v for k, v in address.items() if v}) as server:
        yield server


def _exists(server: psycopg.Connection[Any], name: str) -> bool:
    return server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _run(server: psycopg.Connection[Any], statement: str, *names: str) -> None:
    server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    folder = Path(settings.KALCIFER_TEST_DIR)
    folder.mkdir(mode=0o711, exist_ok=True)
    with (folder / "template.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
