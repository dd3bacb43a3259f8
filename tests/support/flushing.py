"""Empties the database after a test that committed, the append-only log too, down to the rows of the migrations."""

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.db import connection, transaction

OURS = ("tenants", "flows", "engine", "marketing")

# Only the owner of a table can lift its guard, and only until the transaction ends.
LIFT_GUARDS = "ALTER TABLE stored_events DISABLE TRIGGER USER"
RESTORE_GUARDS = "ALTER TABLE stored_events ENABLE TRIGGER USER"


def keep_what_migrations_wrote() -> None:
    """Remember the rows of now, and have every flush of this connection bring them back."""
    kept = {table: rows for table in _tables() if (rows := _rows(table))}

    def flush(statements: Sequence[str]) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LIFT_GUARDS)
            for statement in statements:
                cursor.execute(statement)
            cursor.execute(RESTORE_GUARDS)
            for table, rows in kept.items():
                cursor.execute(f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)", [rows])

    connection.ops.execute_sql_flush = flush  # type: ignore[method-assign]  # the one way in that Django leaves


def _tables() -> list[str]:
    models = (model for app in OURS if apps.is_installed(app) for model in apps.get_app_config(app).get_models())
    return [connection.ops.quote_name(model._meta.db_table) for model in models]


def _rows(table: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT json_agg(t)::text FROM {table} t")
        return cursor.fetchone()[0]
