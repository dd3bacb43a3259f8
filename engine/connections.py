"""The psycopg connection behind Django's: COPY and prepared statements, in the same transaction."""

from __future__ import annotations

import os
import re
import select
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.abc import Loader
from psycopg.pq import Format, TransactionStatus
from psycopg.types.string import TextLoader

from engine.arrays import TextsDumper

# Only what says `prepare=True` is prepared at its first call; so many statements are kept per connection.
PREPARE_THRESHOLD = 5
PREPARED_MAX = 500
# A lock that was not to be had in time, a deadlock, a serialisation failure.
_IN_THE_WAY = frozenset(("55P03", "40P01", "40001"))
_OUT_OF_TIME = "57014"

_MOMENTS = cast("type[Loader]", psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT))


class Cursor(psycopg.Cursor[Any]):
    """Binds on the server, gives ids and JSON as text: the write path passes most of them on as they are."""

    def __init__(self, on: psycopg.Connection[Any]) -> None:
        super().__init__(on)
        self._adapters = _adapters_of(on)


# Made once per connection: to register them anew for each statement costs three times as much as the cursor.
def _adapters_of(on: psycopg.Connection[Any]) -> psycopg.adapt.AdaptersMap:
    if (found := _known.get(on)) is None:
        _let_prepare(on)
        found = _known[on] = psycopg.adapt.AdaptersMap(on.adapters)
        for name in ("uuid", "jsonb", "json"):
            found.register_loader(name, TextLoader)
        found.register_dumper(list, TextsDumper)
        # Django's own is ten times as slow, and every session here is in UTC anyway.
        found.register_loader("timestamptz", _MOMENTS)
    return found


# Django switches prepared statements off, whatever a single call asks for; to parse and plan a statement anew costs the
# server more than to run it for a few rows. A project that names `prepare_threshold` in its OPTIONS has its own will.
def _let_prepare(on: psycopg.Connection[Any]) -> None:
    if "prepare_threshold" not in connection.settings_dict["OPTIONS"]:
        on.prepare_threshold, on.prepared_max = PREPARE_THRESHOLD, PREPARED_MAX


_known: WeakKeyDictionary[psycopg.Connection[Any], psycopg.adapt.AdaptersMap] = WeakKeyDictionary()


def raw() -> psycopg.Connection[Any]:
    """Give the connection of this thread; what is done on it belongs to the `atomic()` around it."""
    connection.ensure_connection()
    return cast("psycopg.Connection[Any]", connection.connection)


def one(statement: str, parameters: Any = None) -> Any:
    """Run a statement that gives one value, and give it."""
    row = execute(statement, parameters).fetchone()
    return None if row is None else row[0]


def execute(statement: str, parameters: Any = None) -> Cursor:
    """Run a statement of this module's callers, prepared, in the transaction of this thread."""
    # Errors come out as Django's, so that callers know one family of them.
    with connection.wrap_database_errors:
        return Cursor(raw()).execute(statement, parameters, prepare=True)


def is_in_the_way(error: BaseException) -> bool:
    """Tell whether an error of the database says only that somebody held what was wanted: later it may go well."""
    return getattr(error.__cause__, "sqlstate", None) in _IN_THE_WAY


def is_out_of_time(error: BaseException) -> bool:
    """Tell whether an error of the database says that a statement took longer than it may."""
    return getattr(error.__cause__, "sqlstate", None) == _OUT_OF_TIME


def copy(statement: str, lines: Iterable[str]) -> None:
    """COPY lines of PostgreSQL's text format into a table; no statement at all where there are none."""
    text = "".join(lines)
    if text:
        with connection.wrap_database_errors, psycopg.Cursor(raw()).copy(statement) as sink:
            sink.write(text)


def line(*values: object) -> str:
    """Write one row in COPY's text format: four times as quick as psycopg, which asks every value for its type."""
    return "\t".join([escaped(value) for value in values]) + "\n"


def escaped(value: object) -> str:
    """Write one value as COPY's text format wants it."""
    if value is None:
        return "\\N"
    # JSON text has no raw control characters, so only its backslashes need care; any other text may hold them.
    if isinstance(value, str):
        return value.translate(_ESCAPES) if _SPECIAL(value) else value
    return str(value)


_SPECIAL = re.compile(r"[\\\t\n\r]").search
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def is_fresh(kept: BaseDatabaseWrapper) -> bool:
    """Tell whether a kept connection is as good as a new one: in no transaction, and its server has not gone."""
    found = kept.connection
    if found is None or kept.errors_occurred or kept.in_atomic_block or found.closed:
        return False
    return found.info.transaction_status == TransactionStatus.IDLE and not _has_word(found)


class SideConnection:
    """
    A second connection in autocommit, one per process, for what must be committed while a batch is still open.

    Made lazily and keyed by process, because a fork must not share it.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._connection: psycopg.Connection[Any] | None = None

    def get(self) -> tuple[psycopg.Connection[Any], bool]:
        """Give the connection, and whether it is a new one."""
        if self._connection is not None and self._pid == os.getpid() and not _has_gone(self._connection):
            return self._connection, False
        parameters = connection.get_connection_params()
        for name in ("cursor_factory", "context"):
            parameters.pop(name, None)
        self._connection = psycopg.connect(**parameters, autocommit=True)
        _let_prepare(self._connection)
        self._pid = os.getpid()
        return self._connection, True


# An idle connection has nothing to read unless its server has said something, perhaps a farewell: then it is asked.
def _has_gone(on: psycopg.Connection[Any]) -> bool:
    if on.closed:
        return True
    if _has_word(on):
        with suppress(psycopg.OperationalError):
            on.execute("SELECT 1")
    return bool(on.closed)


# Not select(): it knows no descriptors above 1023.
def _has_word(on: psycopg.Connection[Any]) -> bool:
    told = select.poll()
    told.register(on.fileno(), select.POLLIN)
    return bool(told.poll(0))
