"""Shares in several processes, each with a connection of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from functools import cache, partial
from itertools import islice
from multiprocessing.connection import wait as wait_for_any
from threading import Thread
from typing import Any, Final

import django
from django.db import connection

from engine.verify import shares
from engine.verify.differences import Checked
from engine.verify.shares import Share

JSON = dict[str, Any]
Check = Callable[[Share], Checked]

# So many shares take as long as starting processes does: two seconds of a core for each.
ALONE: Final = 50
# Shares that lie ready for each process, so that none waits for the next boundary.
AHEAD: Final = 2


def check_all(found: Iterator[Share], tenant: str | None, jobs: int) -> Iterator[Checked]:
    """Check shares with so many processes; in this one where there are too few to pay for more."""
    first = list(islice(found, ALONE + 1))
    if len(first) <= ALONE:
        yield from (shares.check(share, tenant) for share in first)
        return
    context = multiprocessing.get_context("spawn")
    database = {name: connection.settings_dict[name] for name in ("NAME", "HOST", "PORT", "USER", "PASSWORD")}
    # Django's own function, for this module can only be imported after it.
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=django.setup)
    try:
        yield from _in_turn(pool, first, found, partial(_check, database, tenant), jobs * AHEAD)
    finally:
        pool.shutdown(cancel_futures=True)


def _in_turn(pool: Executor, first: list[Share], rest: Iterator[Share], check: Check, most: int) -> Iterator[Checked]:
    under_way: set[Future[Checked]] = {pool.submit(check, share) for share in first}
    while True:
        # Also when all of them ended at once: what is left has not been looked at.
        for share in islice(rest, max(most - len(under_way), 0)):
            under_way.add(pool.submit(check, share))
        if not under_way:
            return
        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
        for each in done:
            yield each.result()


# --- in a process of the pool ---


def _check(database: JSON, tenant: str | None, share: Share) -> Checked:
    _begin()
    if any(connection.settings_dict[name] != value for name, value in database.items()):
        connection.close()
        connection.settings_dict.update(database)
    return shares.check(share, tenant)


# Leaves Ctrl-C to its parent, and does not outlive it.
@cache
def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_any([parent.sentinel])
        os._exit(1)
