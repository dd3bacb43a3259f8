"""`manage.py up` runs everything, restarts what dies, and leaves nothing behind."""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from signal import SIGINT, SIGKILL

import psutil
import pytest

from kalcifer.embedded import postgres, redis
from kalcifer.embedded.layout import Layout
from kalcifer.exits import Exit
from tests.support import processes
from tests.support.processes import wait_for

pytestmark = pytest.mark.processes

WORKERS = "flow_triggers,delayed_resume"


class Running:
    """An `up` in a directory of its own."""

    def __init__(self, process, data_dir: Path, port: int) -> None:
        self.process = process
        self.layout = Layout.of(data_dir)
        self.url = f"http://127.0.0.1:{port}"
        self.log = data_dir.parent / "up.log"

    def get(self, path):
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def ready(self):
        return self.get("/api/v1/health/ready")

    def has_said(self, words):
        return words in self.log.read_text()

    def find(self, word):
        """The processes of this session whose command line holds the word, oldest first."""
        return [process for process in self.session() if word in " ".join(process.cmdline())]

    def session(self):
        found = []
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    process.cmdline()
                    found.append(process)
            except (ProcessLookupError, psutil.Error):
                continue
        return found


@pytest.fixture
def start(data_dir, free_port):
    """Starts `up` and waits until it says that it is ready."""
    contexts = []

    def _start():
        env = processes.environment(KALCIFER_DATA_DIR=str(data_dir))
        words = (sys.executable, "manage.py", "up", "--port", str(free_port), "--workers", "1", "--web-workers", "1")
        context = processes.running(*words, env=env, log=data_dir.parent / "up.log")
        contexts.append(context)
        up = Running(context.__enter__(), data_dir, free_port)
        wait_for(lambda: up.has_said("is ready at") or up.process.poll() is not None, seconds=120, what="it to be up")
        assert up.process.poll() is None, up.log.read_text()
        return up

    yield _start
    for context in contexts:
        context.__exit__(None, None, None)


def test_it_restarts_what_dies_takes_everything_along_when_killed_and_ends_on_sigint(start):
    killed = start()
    assert killed.ready()[0] == 200

    check_that_the_dead_are_replaced(killed)

    killed.process.kill()
    killed.process.wait()
    wait_for(lambda: killed.session() == [], what="all of its processes to die")
    killed.log.unlink()

    stopped = start()
    assert stopped.ready()[0] == 200

    os.kill(stopped.process.pid, SIGINT)
    assert stopped.process.wait(timeout=30) == 0
    assert stopped.session() == []
    assert postgres.running(stopped.layout) is None
    assert redis.running(stopped.layout) is None


def check_that_the_dead_are_replaced(up):
    worker = up.find(WORKERS)[0]
    worker.send_signal(SIGKILL)
    up.find("gunicorn")[0].send_signal(SIGKILL)
    wait_for(lambda: up.find(WORKERS) and worker.pid not in [p.pid for p in up.find(WORKERS)], what="another worker")
    wait_for(lambda: up.ready()[0] == 200, seconds=60, what="the web to be back")

    redis.running(up.layout).send_signal(SIGKILL)
    postgres.running(up.layout).send_signal(SIGKILL)
    wait_for(lambda: up.ready()[0] in {0, 503}, what="the servers to be missed")
    wait_for(lambda: up.ready()[1].get("status") == "ok", seconds=30, what="the servers to be back")


def refusal(data_dir, *words, **settings):
    env = processes.environment(KALCIFER_DATA_DIR=str(data_dir), **settings)
    done = processes.manage("up", *words, env=env)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_port_in_use_is_named(data_dir, free_port):
    with processes.listening(free_port):
        code, message = refusal(data_dir, "--port", str(free_port))

    assert code == Exit.PORT_UNUSABLE
    assert f"Port {free_port} is in use by another process" in message


def test_a_port_that_browsers_block_is_refused(data_dir):
    code, message = refusal(data_dir, "--port", "6000")

    assert code == Exit.PORT_UNUSABLE
    assert "Browsers refuse to open port 6000" in message


def test_a_data_directory_that_cannot_be_written_is_named(data_dir, free_port):
    data_dir.write_text("a file")

    code, message = refusal(data_dir, "--port", str(free_port))

    assert code == Exit.DATA_DIR_UNUSABLE
    assert str(data_dir) in message


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL"])
def test_a_server_that_does_not_answer_is_named(data_dir, free_port, missing):
    nobody = {"DATABASE_URL": "postgresql://a@127.0.0.1:1/b", "REDIS_URL": "redis://127.0.0.1:1/0"}

    code, message = refusal(data_dir, "--port", str(free_port), **{missing: nobody[missing]})

    assert code == Exit.SERVER_UNREACHABLE
    assert missing in message
