from engine.nodes import registry
from engine.nodes.outcomes import Completed
from tests.engine.nodes.steps import execute, problems


def test_it_completes_at_once():
    assert execute("segment_entry", {"segment_id": "vip"}) == Completed()


def test_entering_is_what_counts_unless_told_otherwise():
    assert registry.parse_config("segment_entry", {"segment_id": "vip"}).on == "entered"
    assert problems("segment_entry", {"segment_id": "vip", "on": "exit"}) == {"on": "expected 'entered' or 'left'"}
