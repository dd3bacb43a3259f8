"""Who wants to enter a flow, who asks for it, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine import errors
from engine.execution.state import InstanceState

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A participant who wants to enter a flow; `cause` goes into the metadata of what is stored."""

    participant_id: str
    context: JSON = field(default_factory=dict)
    correlation_key: str | None = None
    entry_event: str | None = None
    cause: JSON = field(default_factory=dict)


@dataclass(slots=True)
class Verdict:
    """What became of an entry: an instance, or why not; `instance_id` is then that of the live one, if any."""

    entry: Entry
    instance_id: str | None = None
    refusal: errors.EngineError | None = None
    state: InstanceState | None = None

    def refuse_live(self, found: str | None, *, otherwise: errors.EngineError) -> None:
        """Refuse the entry for the live run that was found, or else for another reason."""
        self.instance_id = found
        self.refusal = errors.AlreadyInFlow(extra={"instance_id": found}) if found else otherwise


@dataclass(frozen=True, slots=True)
class Whence:
    """Who or what asks for a start, for the record."""

    actor: str
    correlation_id: str = ""
    task_id: str = ""
