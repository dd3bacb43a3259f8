from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from engine.message_caps import Cap, Reservation, Slot
from engine.nodes import registry
from engine.nodes.outcomes import Branched
from tests.engine.nodes.steps import NOON, execute, problems

CONFIG = {"channel": "email", "max_messages": 2, "time_window": "24h", "scope": "workspace"}


@dataclass
class Counted:
    """So many messages, whatever is asked."""

    n: int
    asked: list[tuple[Cap, str]] = field(default_factory=list)

    def count(self, cap: Cap, node_id: str) -> int:
        self.asked.append((cap, node_id))
        return self.n

    def reserve(self, cap: Cap, node_id: str) -> Reservation:
        return Reservation(Slot("i-1", "f-1", node_id, cap.channel), "ada", NOON)


@pytest.mark.parametrize("count", [0, 1])
def test_below_the_cap_a_slot_is_reserved(count):
    outcome = execute("frequency_cap", CONFIG, caps=Counted(count))

    assert (outcome.branch, outcome.result) == ("allowed", {"matched": True, "count": count})
    assert [effect.slot for effect in outcome.effects] == [Slot("i-1", "f-1", "n-1", "email")]


@pytest.mark.parametrize("count", [2, 3])
def test_at_the_cap_nothing_is_reserved(count):
    outcome = execute("frequency_cap", CONFIG, caps=Counted(count))

    assert outcome == Branched("capped", {"matched": False, "count": count})


def test_it_asks_for_what_its_config_says():
    caps = Counted(0)

    execute("frequency_cap", CONFIG, caps=caps)
    execute("frequency_cap", {}, caps=caps)

    assert caps.asked == [
        (Cap(2, timedelta(hours=24), "email", "workspace"), "n-1"),
        (Cap(1, timedelta(days=1), "all", "workspace"), "n-1"),
    ]
    assert registry.get("frequency_cap").cap_of(registry.parse_config("frequency_cap", CONFIG)) == caps.asked[0][0]


def test_where_nothing_is_counted_everything_is_allowed():
    assert execute("frequency_cap", CONFIG) == Branched("allowed", {"matched": True, "count": 0})


@pytest.mark.parametrize(
    "config",
    [
        {"max_messages": 0}, {"max_messages": 10_001}, {"max_messages": "2"}, {"time_window": "0s"},
        {"time_window": 60}, {"channel": "pigeon"}, {"scope": "world"}, {"per": "day"},
    ],
)  # fmt: skip
def test_what_is_no_cap_is_refused(config):
    assert problems("frequency_cap", config)
