"""A dump that is restored on another server goes on there: everything is read once, and in order."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from engine import triggers
from engine.connections import one
from kalcifer.embedded.postgres import _binary as binary
from tests.engine.conftest import flow_of, own_registry, tenant
from tests.support import processes
from tests.support.graphs import chain
from tests.support.passage import run_until_idle
from tests.support.raw_counts import catch_up
from tests.support.servers import database_url

__all__ = ["flow_of", "own_registry", "tenant"]

# As a server that has seen a million transactions more would have recorded it.
GROW_OLD = """
    ALTER TABLE stored_events DISABLE TRIGGER USER;
    UPDATE stored_events SET tx = tx + 1000000;
    UPDATE flow_instances SET log_tx = log_tx + 1000000;
    UPDATE projection_checkpoints SET tx = tx + 1000000 WHERE tx > 0;
    ALTER TABLE stored_events ENABLE TRIGGER USER;
"""
# On the new server: what the log looks like before and after the migration, and what is read of it.
GO_ON = """
import json, subprocess, sys, django
django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from engine import triggers
from engine.connections import execute
from engine.event_store import moving, reading
from flows.models import Flow
from tests.support.graphs import chain
from tests.support.passage import run_until_idle
from tests.support.raw_counts import catch_up

connection.ensure_connection()
there = connection.settings_dict
words = [sys.argv[1], "-qX", "-v", "ON_ERROR_STOP=1", "-h", there["HOST"], "-U", there["USER"], "-d", there["NAME"]]
subprocess.run([*words, "-f", sys.argv[2]], check=True, stdout=subprocess.DEVNULL)
before = moving.is_ahead()
call_command("migrate", verbosity=0)
after = moving.is_ahead()
triggers.start(Flow.objects.get(), "bob")
run_until_idle()
catch_up()
places = execute("SELECT tx, position FROM stored_events ORDER BY position").fetchall()
counted = execute("SELECT count FROM projection_checkpoints WHERE name = 'flow_statistics'").fetchone()[0]
kinds = [event.type for event in reading.read_after(0, 0, limit=1000)]
print(json.dumps({"before": before, "after": after, "ordered": places == sorted(places), "places": len(places),
                  "counted": counted, "kinds": kinds, "again": moving.adopt()}))
"""


@pytest.mark.processes
def test_a_dump_of_a_busy_server_goes_on_where_transactions_are_counted_anew(
    transactional_db: None, flow_of: Callable[..., Any], tmp_path: Path, data_dir: Path
) -> None:
    flow = flow_of(chain(1))
    triggers.start(flow, "ada")
    run_until_idle()
    catch_up()
    with connection.cursor() as cursor:
        cursor.execute(GROW_OLD)
    dump = tmp_path / "dump.sql"
    subprocess.run([binary("pg_dump"), "-d", database_url(), "-f", dump], check=True)

    settings = {"DJANGO_SETTINGS_MODULE": "kalcifer.settings", "KALCIFER_DATA_DIR": str(data_dir)}
    answer = processes.python(
        "-c", GO_ON, str(binary("psql")), str(dump), env=processes.environment(**settings), timeout=120
    )

    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert (told["before"], told["after"], told["again"]) == (True, False, False)
    assert told["ordered"]
    assert told["kinds"].count("flow_started") == told["kinds"].count("completed") == 2
    assert len(told["kinds"]) == told["places"]
    assert told["counted"] == 2 * one("SELECT count FROM projection_checkpoints WHERE name = 'flow_statistics'")
