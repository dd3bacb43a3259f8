from datetime import timedelta

from engine.expressions import Scope
from engine.nodes import registry
from engine.nodes.outcomes import Completed
from tests.engine.nodes.steps import NOON, execute, problems

CONFIG = {
    "event_type": "cart_updated",
    "filter": {"all": [{"path": "event.value", "op": "gte", "value": 20}]},
    "max_event_age": "6h",
}


def refusal(value: int, age: timedelta) -> str | None:
    scope = Scope(event={"value": value}, now=NOON)
    config = registry.parse_config("event_entry", CONFIG)
    return registry.get("event_entry").refusal(config, scope, occurred_at=NOON - age, now=NOON)


def test_it_completes_at_once():
    assert execute("event_entry", CONFIG) == Completed()


def test_it_takes_matching_young_events_only():
    assert refusal(20, timedelta(hours=6)) is None
    assert refusal(19, timedelta()) == "entry_filter"
    assert refusal(20, timedelta(hours=6, seconds=1)) == "event_too_old"


def test_the_event_type_is_required():
    assert problems("event_entry", {}) == {"event_type": "this is required"}
