"""A log of small events, and a read model that shows which of them were projected, how often and in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from django.db import connection

from engine.connections import execute
from engine.event_store.events import Event
from engine.event_store.reading import READABLE
from engine.projections import registry
from engine.projections.projection import Projection
from tenants.ids import uuid7
from tests.engine.conftest import NOON
from tests.support.processes import wait_for

APPEND = """
    INSERT INTO stored_events (event_id, tenant_id, aggregate_type, aggregate_id, sequence, type, schema_version, data,
                               metadata, recorded_at, tx)
    SELECT id, %(tenant)s, %(kind)s, gen_random_uuid(), 1, %(type)s, 1, %(data)s::jsonb, '{}', %(at)s,
           pg_current_xact_id()::text::bigint
      FROM unnest(%(ids)s::uuid[]) AS id
"""
HIDDEN = f"SELECT 1 FROM stored_events WHERE NOT {READABLE} LIMIT 1"
TENANT = uuid4()


def wait_until_readable() -> None:
    """A transaction in any database of the server holds readers back, and other tests have theirs."""
    wait_for(lambda: execute(HIDDEN).fetchone() is None, seconds=60, what="every event to be readable")


@pytest.fixture
def append(transactional_db: None) -> Callable[..., list[str]]:
    """Append events, each of an aggregate of its own; give their ids."""

    def call(count: int = 1, *, type: str = "happened", kind: str = "thing", tenant: UUID = TENANT, **data: Any) -> Any:  # noqa: A002
        ids = [str(uuid7()) for _ in range(count)]
        text = orjson.dumps(data).decode()
        execute(APPEND, {"ids": ids, "tenant": tenant, "kind": kind, "type": type, "data": text, "at": NOON})
        if not connection.in_atomic_block:
            wait_until_readable()
        return ids

    return call


@pytest.fixture
def seen(transactional_db: None) -> Iterator[Callable[..., list[str]]]:
    """The read model of Witness: the ids that a build has, in the order in which they came."""
    execute("CREATE TABLE witnessed (n bigserial, name text, build int, event_id uuid)")

    def call(name: str = "witness", build: int | None = None) -> list[str]:
        live = "(SELECT build FROM projection_checkpoints WHERE name = %(name)s AND is_live)"
        rows = execute(
            f"SELECT event_id FROM witnessed WHERE name = %(name)s AND build = coalesce(%(build)s, {live}) ORDER BY n",
            {"name": name, "build": build},
        )
        return [row[0] for row in rows]

    yield call
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE witnessed")


@pytest.fixture(autouse=True)
def own_projections() -> Iterator[None]:
    with registry.preserved():
        for name in registry.names():
            registry.unregister(name)
        yield


class Witness(Projection):
    """Writes down each event that it is given; fails at those whose data says so."""

    name = "witness"
    types: Sequence[str] = ("happened",)
    beside = True
    batch = 50

    def project(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.data.get("poison") and event.event_id not in MENDED:
                raise ValueError(f"{event.event_id} is poison")
        execute(
            "INSERT INTO witnessed (name, build, event_id) SELECT %s, %s, unnest(%s::uuid[])",
            [self.name, self.build, [event.event_id for event in events]],
        )

    def clear(self) -> None:
        execute("DELETE FROM witnessed WHERE name = %s AND build = %s", [self.name, self.build])


# Poison that a newer version of the code can stomach.
MENDED: set[str] = set()


@pytest.fixture
def witness(seen: object) -> Witness:
    MENDED.clear()
    made = Witness()
    registry.register(made)
    return made
