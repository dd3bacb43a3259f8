"""Which ports the web can take."""

import errno
import socket

from django.core.management.base import CommandError

from kalcifer.exits import Exit

# What the fetch standard calls bad ports: a browser refuses to open them, whoever listens there.
BLOCKED_BY_BROWSERS = frozenset(
    {
        1,
        7,
        9,
        11,
        13,
        15,
        17,
        19,
        20,
        21,
        22,
        23,
        25,
        37,
        42,
        43,
        53,
        69,
        77,
        79,
        87,
        95,
        101,
        102,
        103,
        104,
        109,
        110,
        111,
    }
    | {
        113,
        115,
        117,
        119,
        123,
        135,
        137,
        139,
        143,
        161,
        179,
        389,
        427,
        465,
        512,
        513,
        514,
        515,
        526,
        530,
        531,
        532,
        540,
    }
    | {
        548,
        554,
        556,
        563,
        587,
        601,
        636,
        989,
        990,
        993,
        995,
        1719,
        1720,
        1723,
        2049,
        3659,
        4045,
        4190,
        5060,
        5061,
        6000,
    }
    | {6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)
HIGHEST = 65_535
REASONS = {errno.EADDRINUSE: "is in use by another process", errno.EACCES: "may be opened by root only"}


class PortUnusable(CommandError):
    """The web cannot listen there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, returncode=int(Exit.PORT_UNUSABLE))


def check(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on, or that no browser would open."""
    if not 0 < port <= HIGHEST:
        raise PortUnusable(f"{port} is not a port: choose one between 1 and {HIGHEST} with --port.")
    if port in BLOCKED_BY_BROWSERS:
        raise PortUnusable(f"Browsers refuse to open port {port}: choose another with --port.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            reason = REASONS.get(error.errno or 0, f"cannot be opened on {host} ({error.strerror or error})")
            raise PortUnusable(f"Port {port} {reason}: choose another with --port.") from error
