"""
Empties the database after a test that committed, the append-only log too, down to the rows of the migrations.

Django truncates every table and makes the permissions anew, which takes longer than most tests: here only tables with
rows are touched, and small ones are not given new files.
"""

from django.db import connection, transaction
from django.test import TransactionTestCase

# Written once, and by no test.
LEFT_ALONE = ("django_migrations", "django_content_type", "auth_permission")
TABLES = """
    SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema() AND tablename <> ALL(%s) ORDER BY 1
"""
# Only the owner of a table can lift its guard, and only until the transaction ends.
LIFT_GUARDS = "ALTER TABLE stored_events DISABLE TRIGGER USER"
RESTORE_GUARDS = "ALTER TABLE stored_events ENABLE TRIGGER USER"
# Above it, new files are cheaper than marking each row.
SMALL_BYTES = 1_000_000


def keep_what_migrations_wrote() -> None:
    """Remember the rows of now, and have every test that committed end with them and no others."""
    kept: dict[str, str] = {}
    with connection.cursor() as cursor:
        cursor.execute(TABLES, [list(LEFT_ALONE)])
        tables = [str(row[0]) for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"SELECT json_agg(t)::text FROM {table} t")
            if (rows := cursor.fetchone()[0]) is not None:
                kept[table] = rows
    look = " UNION ALL ".join(
        f"SELECT '{table}', pg_relation_size('{table}') WHERE EXISTS (SELECT FROM {table})" for table in tables
    )
    TransactionTestCase._fixture_teardown = lambda _: _empty(look, kept)  # type: ignore[method-assign,attr-defined]


def _empty(look: str, kept: dict[str, str]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(look)
        dirty = dict(cursor.fetchall())
        if "stored_events" in dirty:
            cursor.execute(LIFT_GUARDS)
        if sum(dirty.values()) > SMALL_BYTES:
            cursor.execute(f"TRUNCATE {', '.join(dirty)} CASCADE")
        else:
            for table in dirty:
                cursor.execute(f"DELETE FROM {table}")
        if "stored_events" in dirty:
            cursor.execute(RESTORE_GUARDS)
        for table, rows in kept.items():
            cursor.execute(f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)", [rows])
