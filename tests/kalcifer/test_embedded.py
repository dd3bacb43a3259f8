"""The bundled servers start in any directory, survive what happens to them, and stop with their last user."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from signal import SIGKILL

import psycopg
import pytest

from kalcifer.embedded import errors, postgres, redis, servers
from kalcifer.embedded.layout import LONGEST_SOCKET_DIR, Layout
from tests.support import processes
from tests.support.processes import wait_for

pytestmark = pytest.mark.processes

USER = """
import sys
from kalcifer.embedded import servers
servers.ensure(sys.argv[1])
print("using", flush=True)
sys.stdin.read()
"""


class User:
    """Another process that uses the servers of a directory until it is told to end."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)],
            env=processes.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def wait(self):
        assert self.process.stdout.readline() == b"using\n"
        return self

    def end(self):
        self.process.communicate()
        assert self.process.returncode == 0


def query(layout, statement):
    with psycopg.connect(host=str(layout.sockets), user="postgres", dbname="kalcifer", autocommit=True) as session:
        cursor = session.execute(statement)
        return cursor.fetchone() if cursor.description else None


def kill(process):
    process.send_signal(SIGKILL)
    wait_for(lambda: not process.is_running() or process.status() == "zombie", what="the killed server to die")


def test_the_last_user_out_stops_the_servers(data_dir):
    layout = servers.ensure(data_dir)
    assert servers.are_up(layout)

    with User(data_dir).wait():
        servers.leave(data_dir)
        assert servers.are_up(layout)

        servers.ensure(data_dir)
    servers.leave(data_dir)

    assert not postgres.is_up(layout)
    assert not redis.is_up(layout)


def test_the_data_is_there_at_the_next_start(data_dir):
    query(servers.ensure(data_dir), "CREATE TABLE kept AS SELECT 7 AS n")
    servers.leave(data_dir)

    assert query(servers.ensure(data_dir), "SELECT n FROM kept") == (7,)


def test_a_killed_user_does_not_keep_the_servers_up(data_dir):
    layout = Layout.of(data_dir)
    with User(data_dir).wait() as user:
        assert servers.are_up(layout)
        user.process.kill()

    wait_for(lambda: not postgres.running(layout) and not redis.running(layout), what="the servers to be stopped")


def test_users_that_start_together_find_one_pair_of_servers(data_dir):
    with User(data_dir) as first, User(data_dir) as second, User(data_dir) as third:
        for user in (first, second, third):
            user.wait()

        assert servers.are_up(Layout.of(data_dir))

        for user in (first, second, third):
            user.end()
    assert postgres.running(Layout.of(data_dir)) is None


def test_threads_that_connect_first_do_not_meet_while_they_look_at_the_directory(data_dir):
    with ThreadPoolExecutor(8) as threads:
        ends = list(threads.map(lambda _: look_many_times(Layout.of(data_dir)), range(8)))

    assert ends == ["usable"] * 8


def look_many_times(layout):
    for _ in range(50):
        servers.check_directory(layout)
    return "usable"


def test_killed_servers_are_revived_with_what_was_committed(data_dir):
    layout = servers.ensure(data_dir)
    query(layout, "CREATE TABLE kept AS SELECT 7 AS n")
    kill(postgres.running(layout))
    kill(redis.running(layout))

    servers.revive(layout)

    assert servers.are_up(layout)
    assert query(layout, "SELECT n FROM kept") == (7,)


def test_a_pid_file_that_names_somebody_else_is_not_believed(data_dir):
    layout = servers.ensure(data_dir)
    servers.leave(data_dir)
    for pid_file in (layout.cluster / "postmaster.pid", layout.redis / "redis.pid", layout.keeper_pid):
        pid_file.write_text(f"{os.getpid()}\n")

    servers.ensure(data_dir)

    assert servers.are_up(layout)


def test_two_directories_do_not_meet(data_dir):
    first, second = servers.ensure(data_dir / "one"), servers.ensure(data_dir / "two")
    try:
        query(first, "CREATE TABLE mine (n int)")

        assert query(second, "SELECT to_regclass('mine')") == (None,)
    finally:
        servers.leave(first.root)
        servers.leave(second.root)


def test_only_the_data_directory_is_opened_to_the_servers_user(data_dir):
    data_dir.mkdir(mode=0o700)
    layout = servers.ensure(data_dir)

    assert stat.S_IMODE(data_dir.parent.stat().st_mode) == 0o700
    assert query(layout, "SHOW fsync") == ("on",)


def test_a_path_too_long_for_a_socket_has_its_sockets_elsewhere(data_dir):
    deep = data_dir / ("d" * LONGEST_SOCKET_DIR)
    layout = servers.ensure(deep)
    try:
        assert servers.are_up(layout)
        assert str(layout.sockets) in (layout.root / "sockets").read_text()
    finally:
        servers.leave(deep)
        for left in layout.sockets.iterdir():
            left.unlink()
        layout.sockets.rmdir()


def test_the_cluster_of_another_version_is_refused_by_name(data_dir):
    layout = Layout.of(data_dir)
    layout.cluster.mkdir(parents=True)
    (layout.cluster / "PG_VERSION").write_text("16\n")

    with pytest.raises(errors.WrongDataVersion, match=r"PostgreSQL 16.*PostgreSQL 18"):
        servers.ensure(data_dir)


def test_a_directory_that_cannot_be_made_is_named(data_dir):
    data_dir.write_text("a file")

    with pytest.raises(errors.DataDirUnusable, match=str(data_dir / "below")):
        servers.ensure(data_dir / "below")
