"""
The statements that add to the log. The unique key (aggregate, sequence) is the only lock there is.

One event is one statement, which commits by itself outside of a transaction. Several are copied: their places are drawn
first, so that the order of all events is the caller's although the rows are written in the order of the aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from engine.connections import copy, escaped, execute
from engine.errors import AggregateTaken, ConcurrencyConflict
from engine.event_store.addresses import Address
from engine.event_store.drafts import Draft

ONE_PER_SEQUENCE = "event_one_per_sequence"

# Adds one event behind the aggregate's last, where that is the expected one. No row comes back where it is not, or
# where somebody else was there first.
APPEND_ONE = """
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, schema_version,
                               data, metadata, recorded_at, tx)
    SELECT %(event)s::uuid, %(tenant)s::uuid, %(kind)s::varchar, %(id)s::uuid, coalesce(head.sequence, 0) + 1,
           %(type)s::varchar, %(version)s::smallint, %(data)s::jsonb, %(metadata)s::jsonb, %(at)s::timestamptz,
           greatest(log_place(pg_current_xact_id()), head.tx)
      FROM (SELECT) AS always LEFT JOIN (
           SELECT sequence, tx FROM stored_events
            WHERE aggregate_id = %(id)s::uuid AND tenant_id = %(tenant)s::uuid AND aggregate_type = %(kind)s::varchar
            ORDER BY sequence DESC LIMIT 1) AS head ON true
     WHERE coalesce(head.sequence, 0) = coalesce(%(expected)s::bigint, head.sequence, 0)
    ON CONFLICT (aggregate_id, sequence) DO NOTHING
    RETURNING position, sequence, tx
"""
# Where each of these aggregates stands, and whose it is; nothing for those that have no events.
HEADS = """
    SELECT wanted.id, head.sequence, head.tx, head.tenant_id, head.aggregate_type
      FROM unnest(%(ids)s::uuid[]) AS wanted(id), LATERAL (
           SELECT sequence, tx, tenant_id, aggregate_type FROM stored_events
            WHERE aggregate_id = wanted.id ORDER BY sequence DESC LIMIT 1) AS head
"""
# So many places of the log, and the transaction in which they are taken.
TAKE_PLACES = """
    SELECT log_place(pg_current_xact_id()),
           ARRAY(SELECT nextval(pg_get_serial_sequence('stored_events', 'position'))
                   FROM generate_series(1, %(count)s))
"""
COPY_EVENTS = """
    COPY stored_events (position, event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, schema_version,
    data, metadata, recorded_at, tx) FROM STDIN
"""


@dataclass(slots=True)
class Addition:
    """What is to be added to one aggregate, behind the expected event or wherever it stands."""

    address: Address
    drafts: list[Draft]
    expected: int | None


@dataclass(slots=True)
class Head:
    """The last event of an aggregate, and whose it is."""

    sequence: int = 0
    tx: int = 0
    tenant_id: str = ""
    type: str = ""


def add_one(address: Address, draft: Draft, expected: int | None) -> None:
    """Add one event; raise ConcurrencyConflict or AggregateTaken where it has no place, having changed nothing."""
    event = draft.event
    given = {
        "event": event.event_id,
        "tenant": address.tenant_id,
        "kind": address.type,
        "id": address.id,
        "type": event.type,
        "version": draft.version,
        "data": draft.data,
        "metadata": draft.metadata,
        "at": event.at,
        "expected": expected,
    }
    # Whoever lost a race and named no expectation tries again behind the winner.
    while (placed := execute(APPEND_ONE, given).fetchone()) is None:
        _check(address, expected, heads([address.id]).get(address.id))
    event.position, event.sequence, event.tx = placed


def add(additions: Sequence[Addition]) -> None:
    """
    Add events to several aggregates, all or none; raise ConcurrencyConflict or AggregateTaken, having changed nothing.

    Joins the caller's transaction, which goes on after a refusal.
    """
    found: dict[str, Head] | None = None
    while True:
        before, found = found, heads([each.address.id for each in additions])
        try:
            with transaction.atomic():
                _place(additions, found)
                copy(COPY_EVENTS, _rows(additions))
        except IntegrityError as error:
            # Somebody was quicker. A snapshot that never shows the winner (a transaction that reads as of one moment)
            # would have this try for ever.
            if not _is_race(error) or found == before:
                raise
        else:
            return


def heads(ids: Sequence[str]) -> dict[str, Head]:
    """Give where aggregates stand, by id; whoever they belong to."""
    return {row[0]: Head(*row[1:]) for row in execute(HEADS, {"ids": list(dict.fromkeys(ids))})}


# Decides every sequence and `tx`. An aggregate that is named twice goes on where the first left it.
def _place(additions: Sequence[Addition], found: dict[str, Head]) -> None:
    count = sum(len(each.drafts) for each in additions)
    own_tx, positions = execute(TAKE_PLACES, {"count": count}).fetchall()[0]
    reached: dict[str, tuple[int, int]] = {}
    place = iter(positions)
    for each in additions:
        head = found.get(each.address.id)
        sequence, tx = reached.get(each.address.id) or (head.sequence if head else 0, head.tx if head else 0)
        _check(each.address, each.expected, head, reached=sequence)
        tx = max(own_tx, tx)
        for draft in each.drafts:
            sequence += 1
            event = draft.event
            event.position, event.sequence, event.tx = next(place), sequence, tx
        reached[each.address.id] = (sequence, tx)


def _check(address: Address, expected: int | None, head: Head | None, *, reached: int | None = None) -> None:
    if head is not None and (head.tenant_id, head.type) != (address.tenant_id, address.type):
        raise AggregateTaken(f"The id {address.id} belongs to another aggregate already; take a new one.")
    actual = reached if reached is not None else head.sequence if head else 0
    if expected is not None and expected != actual:
        raise ConcurrencyConflict(address, expected, actual)


# In the order of the aggregates: two batches that meet in several of them wait for each other in one order.
def _rows(additions: Sequence[Addition]) -> Iterator[str]:
    for each in sorted(additions, key=_by_id):
        address = each.address
        owner = f"{address.tenant_id}\t{escaped(address.type)}\t{address.id}"
        for draft in each.drafts:
            event = draft.event
            yield (
                f"{event.position}\t{event.event_id}\t{owner}\t{event.sequence}\t{escaped(event.type)}\t"
                f"{draft.version}\t{escaped(draft.data)}\t{escaped(draft.metadata)}\t{event.at.isoformat()}\t{event.tx}\n"
            )


def _by_id(addition: Addition) -> str:
    return addition.address.id


def _is_race(error: IntegrityError) -> bool:
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) == ONE_PER_SEQUENCE
