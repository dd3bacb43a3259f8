from engine.nodes import registry
from engine.nodes.base import Need, Reference
from engine.nodes.outcomes import Branched
from tests.engine.nodes.steps import execute, problems


def test_it_tells_members_from_others():
    config = {"segment_id": "vip"}
    assert execute("check_segment", config, segments=frozenset({"vip"})) == Branched("true", {"matched": True})
    assert execute("check_segment", config, segments=frozenset({"new"})) == Branched("false", {"matched": False})
    assert execute("check_segment", config) == Branched("false", {"matched": False})


def test_it_needs_segments_and_names_the_one_that_has_to_exist():
    node, config = registry.get("check_segment"), registry.parse_config("check_segment", {"segment_id": "vip"})
    assert node.needs_of(config) == (Need.SEGMENTS,)
    assert list(node.references_of(config)) == [Reference("segment", "vip", "segment_id")]


def test_a_mistake_is_named():
    assert problems("check_segment", {}) == {"segment_id": "this is required"}
    assert problems("check_segment", {"segment_id": "vip", "segmentid": "x"}).keys() == {"segmentid"}
