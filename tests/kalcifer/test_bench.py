"""`manage.py bench` runs workloads through real processes, and cleans up after itself."""

import json
import os
from pathlib import Path
from signal import SIGINT

import psycopg
import pytest

from kalcifer.embedded.layout import Layout
from tests.support import processes
from tests.support.processes import wait_for

pytestmark = pytest.mark.processes


@pytest.fixture
def data_dir(tmp_path: Path):
    return tmp_path / "data"


def databases(data_dir: Path) -> list[str]:
    """The bench's databases on the servers of this directory."""
    url = Layout.of(data_dir).database_url.replace("/kalcifer?", "/postgres?")
    with psycopg.connect(url) as session:
        return [
            row[0] for row in session.execute("SELECT datname FROM pg_database WHERE datname LIKE 'kalcifer_bench%'")
        ]


def test_a_smoke_run_prints_one_document_with_every_instance_accounted_for(data_dir):
    env = processes.environment(KALCIFER_DATA_DIR=str(data_dir))
    result = processes.manage("bench", "chain3", "--quick", "--json", "--workers", "1", env=env, timeout=150)
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert set(document) == {"machine", "versions", "settings", "workloads"}
    assert document["settings"]["fsync"] == document["settings"]["synchronous_commit"] == "on"
    assert document["machine"]["floor"]["commits_per_s"] > 0
    figures = document["workloads"]["chain3"]
    assert set(figures["instances_per_s"]) >= {"median", "min", "max", "runs", "ratio_to_commits"}
    assert figures["instances_per_s"]["median"] > 0
    assert figures["per_instance"]["wal_bytes"] > 0


def test_after_an_interrupt_the_database_is_gone(data_dir, tmp_path):
    env = processes.environment(KALCIFER_DATA_DIR=str(data_dir))
    # A user of the servers, so that they can be asked afterwards.
    holder = "from kalcifer.embedded import servers; servers.ensure(__import__('sys').argv[1]); input()"
    log = tmp_path / "bench.log"
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "wb"), os.fdopen(read_end) as standard_input:
        keeper = processes.subprocess.Popen(
            [processes.sys.executable, "-c", holder, str(data_dir)], cwd=processes.ROOT, env=env, stdin=standard_input
        )
        try:
            with processes.running(processes.sys.executable, "manage.py", "bench", "chain3", env=env, log=log) as bench:
                wait_for(lambda: log.exists() and "chain3" in log.read_text(), seconds=90, what="the workload to begin")
                assert databases(data_dir)
                os.kill(bench.pid, SIGINT)
                assert bench.wait(timeout=60) == 130
            assert databases(data_dir) == []
        finally:
            keeper.terminate()
            keeper.wait(timeout=20)


def test_an_unknown_workload_is_named():
    result = processes.manage("bench", "chain4", env=processes.environment())
    assert result.returncode == 2
    assert "chain4" in result.stderr
    assert "chain3" in result.stderr
