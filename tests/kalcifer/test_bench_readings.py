"""What the bench says a run has cost."""

from __future__ import annotations

import pytest
from django.db import connection

from benchmarks.system import Reading

BUSY = "SELECT count(*) FROM generate_series(1, 3000000)"


@pytest.mark.django_db
def test_what_the_server_works_is_not_counted_as_pythons_too() -> None:
    before = Reading.now()
    with connection.cursor() as cursor:
        cursor.execute(BUSY)

    cost = Reading.now().since(before, 1)

    assert cost["postgres_cpu_us"] > 2 * cost["python_cpu_us"]
