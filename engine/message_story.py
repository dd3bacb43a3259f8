"""The story of a run with what became of its messages, which the run itself goes on without."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from engine import ports, queries
from engine.models import StoredEvent
from flows.models import FlowInstance

JSON = dict[str, Any]

FAILURES: Final = frozenset(("failed", "unknown", "bounced", "complained"))
SKIPS: Final = frozenset(("skipped", "cancelled"))


class Storyteller:
    """Puts the events of one run in words; asks for its messages once, and only where it has any."""

    def __init__(self, instance: FlowInstance) -> None:
        self._tenant_id, self._instance_id = str(instance.tenant_id), str(instance.pk)

    def tell(self, event: StoredEvent) -> JSON:
        """Give an entry of the timeline; that of a message says what has become of it by now."""
        entry = queries.as_entry(event)
        delivery_id = _message_of(event)
        if delivery_id is None:
            return entry
        found = self._states.get(event.data["node"], {})
        state = str(found.get("state", "queued"))
        kind = "skip" if state in SKIPS else "failure" if state in FAILURES else "send"
        reason = f" Reason: {found['reason']}." if found.get("reason") else ""
        detail = f"The message is {state}.{reason} {entry['detail']}".strip()
        data = {**entry["data"], "delivery": {"id": delivery_id, **found}}
        return {**entry, "kind": kind, "detail": detail, "data": data}

    @cached_property
    def _states(self) -> Mapping[str, JSON]:
        found = ports.bound().deliveries.states_many(self._tenant_id, [self._instance_id])
        return found.get(self._instance_id, {})


# A send is told where it was queued: at its completion, or where its run began to wait for it.
def _message_of(event: StoredEvent) -> str | None:
    said = {"node_completed": "result", "wait_started": "wait"}.get(event.type)
    held = event.data.get(said) if said else None
    found = held.get("delivery_id") if isinstance(held, dict) else None
    return found if isinstance(found, str) else None
