"""The servers of a data directory: joined by everybody who needs them, stopped by the last one to leave."""

import atexit
import os
from pathlib import Path
from tempfile import TemporaryFile

from kalcifer.embedded import account, errors, keeper, postgres, redis
from kalcifer.embedded.layout import Layout
from kalcifer.embedded.roster import Roster, exclusive

_joined: dict[Path, Roster] = {}


def ensure(data_dir: str | Path) -> Layout:
    """Use the servers of this data directory until the process ends, starting what is not running.

    May be called any number of times, from any thread or forked child; only the first call of a process does anything.
    """
    layout = Layout.of(data_dir)
    roster = _joined.get(layout.root)
    if roster is None or not roster.has_joined:
        revive(layout)
    return layout


def revive(layout: Layout) -> None:
    """Start whatever of the servers does not answer, and count this process among their users."""
    check_directory(layout)
    with exclusive(layout.lock):
        roster = _joined.get(layout.root)
        if roster is None or not roster.has_joined:
            roster = Roster(layout.users)
            roster.join()
            _joined[layout.root] = roster
            atexit.register(_leave_at_exit, layout, os.getpid())
        redis.start(layout)
        postgres.start(layout)
        keeper.start(layout)


def leave(data_dir: str | Path) -> None:
    """Stop using the servers; the last user out stops them."""
    layout = Layout.of(data_dir)
    roster = _joined.pop(layout.root, None)
    if roster is None or not roster.has_joined:
        return
    roster.leave()
    stop_abandoned(layout)


def stop_abandoned(layout: Layout) -> None:
    """Stop the servers if nobody uses them."""
    if not layout.lock.exists():
        return
    with exclusive(layout.lock):
        if Roster(layout.users).is_empty():
            keeper.stop(layout)
            redis.stop(layout)
            postgres.stop(layout)


def are_up(layout: Layout) -> bool:
    """Whether both servers answer."""
    return postgres.is_up(layout) and redis.is_up(layout)


def check_directory(layout: Layout) -> None:
    """Make the directory where it is missing; raise DataDirUnusable where nothing can be written in it."""
    try:
        layout.create()
        # It has no name that another thread or process could meet.
        with TemporaryFile(dir=layout.users) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        reason = error.strerror or error
        raise errors.DataDirUnusable(f"The data directory {layout.root} cannot be used: {reason}.") from error
    # A name in the shared temporary directory may have been taken by somebody else.
    if not account.of_server().trusts(layout.sockets):
        raise errors.DataDirUnusable(f"{layout.sockets}, where the sockets should be, belongs to another user.")


# A forked child inherits the handler, but not the place among the users.
def _leave_at_exit(layout: Layout, pid: int) -> None:
    if pid == os.getpid() and layout.root.exists():
        leave(layout.root)
