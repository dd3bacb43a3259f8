"""Every test has a migrated database of its worker's own."""

import pytest
from django.conf import settings
from django.db import connection


@pytest.mark.django_db
def test_the_database_is_this_workers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")

        assert cursor.fetchone() == (f"kalcifer_test_{settings.TEST_WORKER}",)


@pytest.mark.django_db(transaction=True)
def test_the_schema_is_migrated() -> None:
    assert "django_migrations" in connection.introspection.table_names()
