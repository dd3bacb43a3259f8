"""The log: append-only, one event per sequence, and one global order that every reader sees without gaps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, IntegrityError, connection, transaction

from engine import operations, triggers
from engine.connections import execute
from engine.models import StoredEvent
from flows.models import Flow
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle
from tests.support.processes import wait_for
from tests.support.races import Meanwhile, at_once

READ = """
    SELECT tx, position, aggregate_id, sequence FROM stored_events
     WHERE tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AND (tx, position) > (%s, %s)
     ORDER BY tx, position LIMIT %s
"""

WAITING: dict[str, tuple[Any, ...]] = {
    "entry": (*ENTRY, {None: "pause"}),
    "pause": ("wait", {"duration": "1d"}, {None: "done"}),
    "done": ("exit", {"reason": "through"}),
}


class Reader:
    """Reads on from its checkpoint, as a projection does."""

    def __init__(self) -> None:
        self.at = (0, 0)
        self.seen: list[tuple[str, int]] = []

    def read(self, limit: int = 50) -> int:
        found = execute(READ, [*self.at, limit]).fetchall()
        for tx, position, aggregate, sequence in found:
            self.at = (tx, position)
            self.seen.append((aggregate, sequence))
        return len(found)

    def assert_saw_everything_in_order(self) -> None:
        # A transaction in any database of the server holds readers back, and other tests have theirs.
        count = StoredEvent.objects.count()
        wait_for(lambda: self.read(1000) == 0 and len(self.seen) >= count, seconds=30, what="every event to be visible")
        assert len(self.seen) == len(set(self.seen)) == StoredEvent.objects.count()
        by_aggregate: dict[str, list[int]] = {}
        for aggregate, sequence in self.seen:
            by_aggregate.setdefault(aggregate, []).append(sequence)
        assert all(found == list(range(1, len(found) + 1)) for found in by_aggregate.values())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET type = 'x'",
        "UPDATE stored_events SET data = data WHERE false OR true",
        "DELETE FROM stored_events",
        "TRUNCATE stored_events",
        "TRUNCATE stored_events CASCADE",
    ],
)
def test_the_database_refuses_to_change_what_happened(flow_of: Callable[..., Flow], statement: str) -> None:
    Passage(flow_of(graph(WAITING)), "ada").start()
    before = list(StoredEvent.objects.values_list("position", "type"))

    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert list(StoredEvent.objects.values_list("position", "type")) == before


def test_a_sequence_is_taken_once(flow_of: Callable[..., Flow]) -> None:
    ada = Passage(flow_of(graph(WAITING)), "ada").start()
    first = ada.events[0]
    first.pk = None

    with pytest.raises(IntegrityError), transaction.atomic():
        first.save(force_insert=True)


def test_a_reader_never_skips_what_commits_out_of_order(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(graph(WAITING))
    started, commit = threading.Event(), threading.Event()

    def older_transaction_that_commits_later() -> None:
        with transaction.atomic():
            triggers.start(flow, "early")
            started.set()
            assert commit.wait(60)

    reader = Reader()
    with Meanwhile(older_transaction_that_commits_later) as older:
        assert started.wait(60)
        triggers.start(flow, "late")
        assert reader.read() == 0
        commit.set()
        older.answer()

    reader.assert_saw_everything_in_order()


def test_a_long_transaction_that_appends_to_an_aggregate_after_a_younger_one_does_not_contradict_it(
    flow_of: Callable[..., Flow],
) -> None:
    flow = flow_of(graph(WAITING))
    ada = Passage(flow, "ada").start()
    opened, go_on = threading.Event(), threading.Event()

    def long_transaction() -> None:
        with transaction.atomic():
            triggers.start(flow, "bob")
            opened.set()
            assert go_on.wait(60)
            operations.resume(ada.id)

    reader = Reader()
    with Meanwhile(long_transaction) as caller:
        assert opened.wait(60)
        operations.pause(ada.id)
        reader.read()
        go_on.set()
        caller.answer()

    reader.assert_saw_everything_in_order()
    order = [sequence for aggregate, sequence in reader.seen if aggregate == str(ada.id)]
    assert order == sorted(order)


def test_readers_beside_many_writers_miss_nothing(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(graph(WAITING))
    over = threading.Event()
    reader = Reader()

    def write(writer: int) -> None:
        for turn in range(15):
            with transaction.atomic():
                ids = [str(triggers.start(flow, f"w{writer}-{turn}-{i}").pk) for i in range(2)]
                operations.pause_many(ids)
            operations.resume_many(ids)
        run_until_idle()

    def read() -> None:
        while not over.is_set():
            reader.read(7)

    with Meanwhile(read) as reading:
        at_once([lambda writer=writer: write(writer) for writer in range(4)])
        over.set()
        reading.answer()

    reader.assert_saw_everything_in_order()
