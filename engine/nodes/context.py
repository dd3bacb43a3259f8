"""What a node may know when it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from engine.expressions import Rule, Scope, resolve
from engine.message_caps import RunCaps
from engine.ports import Preferences

JSON = dict[str, Any]


@dataclass(slots=True)
class StepContext:
    """
    One node run: the instance's data, the moment, and what was fetched for it.

    Nodes only read it; the loop moves one along through the nodes of an instance. `result` is, in a compensation, what
    its node had answered.

    `context["entry"]` and the like work too, for nodes that only want JSON.
    """

    now: datetime
    instance_id: str
    node_id: str
    participant_id: str
    entry: JSON
    accumulated: JSON = field(default_factory=dict)
    outcomes: Mapping[str, str | None] = field(default_factory=dict)
    run: JSON = field(default_factory=dict)
    participant: JSON | None = None
    preferences: Preferences | None = None
    default_timezone: str = "UTC"
    since_previous: datetime | None = None
    entered_at: datetime | None = None
    wait: JSON = field(default_factory=dict)
    input: JSON = field(default_factory=dict)
    idempotency_key: str = ""
    attempt: int = 1
    ports: Any = None
    tenant_id: str = ""
    deliveries: Mapping[str, JSON] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    result: JSON | None = None
    segments: frozenset[str] = frozenset()
    caps: RunCaps | None = None

    def scope(self, event: JSON | None = None) -> Scope:
        """Give what the paths of rules and references can see from here."""
        return Scope(
            entry=self.entry,
            event=event,
            participant=self.participant,
            accumulated=self.accumulated,
            outcomes=self.outcomes,
            run=self.run,
            now=self.now,
            deliveries=self.deliveries,
            aliases=self.aliases,
            result=self.result,
        )

    def since(self, lookback: str | timedelta) -> datetime | None:
        """Give the moment from which a look-back counts events; never before the run's entry, and None for none."""
        match lookback:
            case timedelta():
                cut = self.now - lookback
                return cut if self.entered_at is None else max(cut, self.entered_at)
            case "since_previous_node":
                return self.since_previous or self.entered_at
            case "since_entry":
                return self.entered_at
            case _:
                return None

    def matches(self, rule: Rule) -> bool:
        """Ask a rule about this step."""
        return rule.matches(self.scope())

    def resolve(self, raw: Any) -> Any:
        """Replace the references in JSON by what they stand for here."""
        return resolve(raw, self.scope())

    def __getitem__(self, key: str) -> Any:
        """Give one of the parts by name, as the JSON context of an instance does."""
        return getattr(self, key)
