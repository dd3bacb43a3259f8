"""What the paths of an expression can see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """
    The data of one instance at one moment, by root.

    `event` is the event's data. `accumulated` holds results and `outcomes` the branch taken, both by node id;
    `node_events` and `deliveries` add, by node id, what the result itself does not carry. `aliases` maps each `save_as`
    name to its node id. `result` is known in a compensation alone: what its node had answered.
    """

    entry: JSON = field(default_factory=dict)
    event: JSON | None = None
    participant: JSON | None = None
    accumulated: JSON = field(default_factory=dict)
    outcomes: Mapping[str, str | None] = field(default_factory=dict)
    run: JSON = field(default_factory=dict)
    now: datetime | None = None
    node_events: Mapping[str, JSON] = field(default_factory=dict)
    deliveries: Mapping[str, JSON] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    result: JSON | None = None
