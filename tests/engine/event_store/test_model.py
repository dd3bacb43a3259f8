"""Whatever is appended, the store agrees with lists: every act against a simple model, on the real database."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from engine import Append, Event, EventStore
from engine.connections import execute
from engine.errors import ConcurrencyConflict
from tenants.models import Tenant

JSON = dict[str, Any]

names = st.sampled_from(["ada", "bob", "eve"])
texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(texts, below, max_size=3))
datas = st.dictionaries(texts, values, max_size=4)
batches = st.lists(datas, max_size=4)
# What the caller believes: the truth, nothing, or something else.
beliefs = st.sampled_from(["true", "none", "less", "more"])

ORDER = "SELECT aggregate_id, sequence FROM stored_events WHERE tenant_id = %s ORDER BY tx, position"


class Rollback(Exception):
    pass


class Against(RuleBasedStateMachine):
    """One store beside lists of data by name."""

    tenant: Tenant

    def __init__(self) -> None:
        super().__init__()
        # A log is never emptied, so every example has a tenant of its own.
        self.store = EventStore(Tenant.objects.create(name=f"model-{Tenant.objects.count()}"))
        self.lists: dict[str, list[JSON]] = {}

    def believed(self, name: str, belief: str) -> int | None:
        truth = len(self.lists.get(name, []))
        return {"true": truth, "none": None, "less": truth - 1, "more": truth + 1}[belief]

    @rule(name=names, batch=batches, belief=beliefs)
    def append(self, name: str, batch: list[JSON], belief: str) -> None:
        expected = self.believed(name, belief)
        if expected is not None and expected < 0:
            return
        truth = len(self.lists.get(name, []))
        if batch and expected not in (None, truth):
            with pytest.raises(ConcurrencyConflict) as refused:
                self.store.append_sync(("thing", name), [Event("happened", data) for data in batch], expected)
            assert (refused.value.expected, refused.value.actual) == (expected, truth)
            return
        given = self.store.append_sync(("thing", name), [Event("happened", data) for data in batch], expected)
        assert [event.sequence for event in given] == list(range(truth + 1, truth + 1 + len(batch)))
        self.lists.setdefault(name, []).extend(batch)

    @rule(batch=st.lists(st.tuples(names, batches), max_size=4), spoiled=st.booleans())
    def append_many(self, batch: list[tuple[str, list[JSON]]], *, spoiled: bool) -> None:
        expected = {name: len(found) for name, found in self.lists.items()}
        appends, after = [], dict(expected)
        for name, datas_of in batch:
            appends.append(Append(("thing", name), [Event("happened", each) for each in datas_of], after.get(name, 0)))
            after[name] = after.get(name, 0) + len(datas_of)
        if spoiled:
            appends.append(Append(("thing", "ada"), [Event("happened")], after.get("ada", 0) + 1))
            with pytest.raises(ConcurrencyConflict):
                self.store.append_many_sync(appends)
            return
        self.store.append_many_sync(appends)
        for name, datas_of in batch:
            self.lists.setdefault(name, []).extend(datas_of)

    @rule(name=names, batch=batches, committed=st.booleans())
    def append_in_a_transaction(self, name: str, batch: list[JSON], *, committed: bool) -> None:
        try:
            with transaction.atomic():
                for data in batch:
                    self.store.append_sync(("thing", name), [Event("happened", data)])
                if not committed:
                    raise Rollback
        except Rollback:
            return
        self.lists.setdefault(name, []).extend(batch)

    @rule(name=names, after=st.integers(0, 8), upto=st.none() | st.integers(0, 8), limit=st.none() | st.integers(0, 4))
    def read(self, name: str, after: int, upto: int | None, limit: int | None) -> None:
        found = self.store.read_sync(("thing", name), after=after, upto=upto, limit=limit)
        assert [event.data for event in found] == self.lists.get(name, [])[after:upto][:limit]

    @invariant()
    def heads_and_logs_are_those_of_the_lists(self) -> None:
        for name in ("ada", "bob", "eve"):
            told = self.lists.get(name, [])
            assert self.store.head_sync(("thing", name)) == len(told)
            assert [event.data for event in self.store.stream_sync(("thing", name), page=3)] == told

    @invariant()
    def the_order_of_all_contradicts_no_aggregate(self) -> None:
        logs: dict[str, list[int]] = {}
        for aggregate, sequence in execute(ORDER, [self.store.tenant_id]).fetchall():
            logs.setdefault(aggregate, []).append(sequence)
        assert all(log == list(range(1, len(log) + 1)) for log in logs.values())


def test_the_store_agrees_with_lists(transactional_db: None) -> None:
    run_state_machine_as_test(
        Against,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
