"""What has a row that has to be what its events say: instances and sagas, column by column."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from engine.event_store.events import INSTANCE, SAGA
from engine.execution.state import InstanceState
from engine.sagas.state import SagaState

# Of the state, but not a column of its own.
_OF_THE_CONTEXT: Final = {"id", "version", "tokens", "entry", "accumulated", "outcomes", "entry_event"}


@dataclass(frozen=True, slots=True)
class Subject:
    """A table whose rows are the fold of events: its columns are attributes of the state by the same name."""

    aggregate_type: str
    table: str
    columns: tuple[str, ...]
    json: frozenset[str]

    @property
    def rows(self) -> str:
        """The statement that reads the rows of a range of ids."""
        return f"""
            SELECT id, {", ".join(self.columns)} FROM {self.table}
             WHERE id > %(after)s AND id <= %(upto)s AND tenant_id = coalesce(%(tenant)s, tenant_id) ORDER BY id
        """

    @property
    def count(self) -> str:
        """The statement that counts the rows."""
        return f"SELECT count(*) FROM {self.table} WHERE tenant_id = coalesce(%(tenant)s, tenant_id)"


INSTANCES: Final = Subject(
    INSTANCE,
    "flow_instances",
    (*(each.name for each in fields(InstanceState) if each.name not in _OF_THE_CONTEXT), "current_nodes", "context"),
    frozenset({"current_nodes", "context", "error", "compensation"}),
)
SAGAS: Final = Subject(
    SAGA,
    "saga_runs",
    tuple(each.name for each in fields(SagaState) if each.name != "id"),
    frozenset({"input", "plan", "steps", "ending", "error"}),
)
ALL: Final = {each.aggregate_type: each for each in (INSTANCES, SAGAS)}
