"""
The log in shares: ranges of aggregates' ids with about as many events each.

Whatever is in a range is checked as of one moment: rows of every table, snapshots, and events page by page, so that a
long log needs no more memory than a short one, and live traffic makes no false alarm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import transaction

from engine.connections import execute
from engine.event_store.rows import COLUMNS
from engine.snapshots import folds, loading, store
from engine.snapshots.store import Kept
from engine.verify import subjects
from engine.verify.differences import Checked, Difference
from engine.verify.rebuilding import Rebuilding
from engine.verify.subjects import Subject

JSON = dict[str, Any]
Share = tuple[str, str]

FIRST = str(UUID(int=0))
LAST = str(UUID(int=2**128 - 1))
PAGE = 2_000
# Places in a row of COLUMNS.
AGGREGATE_TYPE, AGGREGATE_ID, SEQUENCE = 2, 3, 4

# Each statement is short but for its share of a large log.
ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
NO_TIME_LIMIT = "SET LOCAL statement_timeout = 0"

# The aggregate whose event ends the share; the index of (aggregate, sequence) alone is read.
BOUNDARY = """
    SELECT aggregate_id FROM stored_events WHERE aggregate_id > %s ORDER BY aggregate_id, sequence OFFSET %s LIMIT 1
"""
EVENTS = f"""
    SELECT {COLUMNS} FROM stored_events
     WHERE (aggregate_id, sequence) > (%(after)s, %(sequence)s) AND aggregate_id <= %(upto)s
       AND tenant_id = coalesce(%(tenant)s, tenant_id)
     ORDER BY aggregate_id, sequence LIMIT {PAGE}
"""
SNAPSHOTS = f"""
    SELECT {store.COLUMNS} FROM snapshots s
     WHERE s.aggregate_id > %(after)s AND s.aggregate_id <= %(upto)s
       AND s.tenant_id = coalesce(%(tenant)s, s.tenant_id)
"""
_LAST_SEQUENCE = 2**63 - 1


@dataclass(slots=True)
class _Found:
    """The rows and snapshots of a share that are not accounted for yet, and what the share has told so far."""

    rows: dict[str, dict[str, JSON]]
    kept: dict[str, Kept]
    rebuilt: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    snapshots: int = 0
    differences: list[Difference] = field(default_factory=list)
    wrong: list[tuple[Kept, str]] = field(default_factory=list)

    def check(self, aggregate_id: str, kind: str, stored: Iterator[Any]) -> None:
        """Rebuild one aggregate and compare it with its row and its snapshot."""
        if kind not in folds.types():
            self.unknown[kind] += 1
            self.kept.pop(aggregate_id, None)
            return
        self.rebuilt[kind] += 1
        subject, row = subjects.ALL.get(kind), self.rows.get(kind, {}).pop(aggregate_id, None)
        rebuilding = Rebuilding(folds.get(kind), aggregate_id, self.kept.pop(aggregate_id, None))
        rebuilding.run(stored)
        if subject and row:
            rebuilding.compare(subject, row)
        elif subject:
            rebuilding.differ("no_row", f"There are {rebuilding.sequence} events and no row.")
        self.snapshots += rebuilding.kept is not None
        self.differences += rebuilding.found
        if rebuilding.kept and rebuilding.wrong:
            self.wrong.append((rebuilding.kept, rebuilding.wrong))

    def check_what_has_no_events(self) -> None:
        """Whatever was not met in the log."""
        for kind, rows in self.rows.items():
            for aggregate_id in rows:
                self.rebuilt[kind] += 1
                self.differences.append(Difference(kind, aggregate_id, "no_events", "There is a row and no event."))
        for aggregate_id, each in self.kept.items():
            detail = f"It is of event {each.sequence}; there is no event."
            self.differences.append(Difference(each.aggregate_type, aggregate_id, "snapshot", detail))
            self.wrong.append((each, loading.BEYOND))


def shares(events: int) -> Iterator[Share]:
    """Divide all ids into ranges (after, up to) of about so many events."""
    after = FIRST
    while after != LAST:
        found = execute(BOUNDARY, [after, max(events - 1, 0)]).fetchone()
        upto = found[0] if found else LAST
        yield after, upto
        after = upto


def check(share: Share, tenant: str | None) -> Checked:
    """Check whatever is in a share; snapshots that are wrong are thrown away."""
    after, upto = share
    bounds = {"after": after, "upto": upto, "tenant": tenant}
    with transaction.atomic(durable=True):
        execute(ONE_MOMENT)
        execute(NO_TIME_LIMIT)
        rows = {kind: _rows(subject, bounds) for kind, subject in subjects.ALL.items()}
        kept = {row[0]: Kept(*row) for row in execute(SNAPSHOTS, bounds).fetchall()}
        found = _Found(rows, kept)
        for (aggregate_id, kind), stored in groupby(_events(bounds), key=itemgetter(AGGREGATE_ID, AGGREGATE_TYPE)):
            found.check(aggregate_id, kind, stored)
    found.check_what_has_no_events()
    for each, reason in found.wrong:
        loading.throw_away(each, reason)
    return Checked(dict(found.rebuilt), dict(found.unknown), found.snapshots, found.differences)


def _rows(subject: Subject, bounds: JSON) -> dict[str, JSON]:
    names = ("id", *subject.columns)
    return {row[0]: dict(zip(names, row, strict=True)) for row in execute(subject.rows, bounds).fetchall()}


def _events(bounds: JSON) -> Iterator[Any]:
    after, sequence = bounds["after"], _LAST_SEQUENCE
    while True:
        found = execute(EVENTS, {**bounds, "after": after, "sequence": sequence}).fetchall()
        yield from found
        if len(found) < PAGE:
            return
        after, sequence = found[-1][AGGREGATE_ID], found[-1][SEQUENCE]
