"""PostgreSQL and Redis are killed under load: requests fail cleanly or are kept, workers come back, nothing is lost."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psutil
import psycopg
import pytest

from kalcifer.embedded import postgres, redis, servers
from kalcifer.embedded.layout import Layout
from tests.support import processes
from tests.support.graphs import ENTRY, graph
from tests.support.processes import wait_for

pytestmark = pytest.mark.processes

GRAPH = graph(
    {
        "entry": (*ENTRY, {None: "pause"}),
        "pause": ("wait", {"duration": "2s"}, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    }
)


class Installation:
    """An `up` on a data directory of its own, and a client of it."""

    def __init__(self, data_dir: Path, port: int) -> None:
        self.layout = Layout.of(data_dir)
        self.url = f"http://127.0.0.1:{port}/api/v1"
        self.key = ""

    def call(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Answer with status 0 when nobody listens."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=15) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def must(self, path: str, body: Any = None) -> Any:
        status, answer = self.call(path, body)
        assert 200 <= status < 300, answer
        return answer

    def kill(self, server: psutil.Process | None) -> None:
        assert server is not None
        server.send_signal(SIGKILL)

    def statuses(self) -> dict[str, str]:
        with psycopg.connect(self.layout.database_url) as connection:
            return dict(connection.execute("SELECT participant_id, status FROM flow_instances").fetchall())


@pytest.fixture
def installation() -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="kalcifer-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data_dir, log = folder / "data", folder / "up.log"
    env = processes.environment(KALCIFER_DATA_DIR=str(data_dir))
    words = (sys.executable, "manage.py", "up", "--port", str(port), "--workers", "1", "--web-workers", "1")
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(servers.stop_abandoned, Layout.of(data_dir))
        up = stack.enter_context(processes.running(*words, env=env, log=log))
        wait_for(lambda: "is ready at" in log.read_text() or up.poll() is not None, seconds=120, what="up to be ready")
        assert up.poll() is None, log.read_text()
        made = Installation(data_dir, port)
        tenant = processes.manage("create_tenant", "Acme", "--json", env=env)
        made.key = json.loads(tenant.stdout)["api_key"]
        yield made


def test_requests_are_kept_or_refused_cleanly_and_nothing_is_lost(installation: Installation) -> None:
    flow = installation.must("/flows", {"name": "flow", "graph": GRAPH})["id"]
    installation.must(f"/flows/{flow}/activate", {})
    seen: set[int] = set()
    accepted: list[str] = []

    def start(name: str) -> int:
        status, _ = installation.call(f"/flows/{flow}/trigger", {"participant_id": name})
        seen.add(status)
        if 200 <= status < 300:
            accepted.append(name)
        return status

    for i in range(20):
        start(f"before-{i}")
    installation.kill(redis.running(installation.layout))
    for i in range(20):
        start(f"no-redis-{i}")
    assert len(accepted) == 40

    installation.kill(postgres.running(installation.layout))
    tries = iter(range(10_000))
    wait_for(lambda: start(f"no-postgres-{next(tries)}") not in range(200, 300), seconds=60, what="it to be missed")
    wait_for(lambda: start(f"later-{next(tries)}") in range(200, 300), seconds=60, what="it to be back")
    for i in range(20):
        start(f"after-{i}")

    assert {status for status in seen if not 200 <= status < 300} <= {0, 503}
    wait_for(
        lambda: {installation.statuses().get(name) for name in accepted} == {"completed"}, seconds=60, what="all to end"
    )
