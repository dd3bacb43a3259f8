from collections import Counter

import pytest

from engine.nodes import registry
from engine.nodes.outcomes import Branched
from tests.engine.nodes.steps import execute, problems, step

CONFIG = {"variants": [{"key": "a", "weight": 50}, {"key": "b", "weight": 30}, {"key": "rest", "weight": 20}]}


def chosen(config, **facts):
    return execute("ab_split", config, **facts).branch


def test_it_has_a_branch_per_variant():
    config = registry.parse_config("ab_split", CONFIG)
    assert registry.get("ab_split").branches_of(config) == ("a", "b", "rest")


def test_it_tells_what_it_chose():
    assert execute("ab_split", {"variants": [{"key": "only"}]}) == Branched("only", {"selected_variant": "only"})


def test_over_many_participants_it_keeps_to_the_weights():
    node, config = registry.get("ab_split"), registry.parse_config("ab_split", CONFIG)
    counts = Counter(node.execute(config, step(participant_id=f"p-{n}")).branch for n in range(20_000))
    assert counts["a"] == pytest.approx(10_000, abs=300)
    assert counts["b"] == pytest.approx(6_000, abs=300)
    assert counts["rest"] == pytest.approx(4_000, abs=300)


def test_the_same_participant_gets_the_same_variant_at_every_entry():
    assert len({chosen(CONFIG, instance_id=f"i-{n}") for n in range(50)}) == 1


def test_unless_it_is_not_sticky():
    assert len({chosen({**CONFIG, "sticky": False}, instance_id=f"i-{n}") for n in range(50)}) == 3


def test_nodes_choose_independently_unless_they_share_a_salt():
    assert len({chosen(CONFIG, node_id=f"n-{n}") for n in range(50)}) == 3
    assert len({chosen({**CONFIG, "salt": "spring"}, node_id=f"n-{n}") for n in range(50)}) == 1


def test_a_weight_of_zero_takes_nobody():
    config = {"variants": [{"key": "a", "weight": 0}, {"key": "b", "weight": 1}]}
    assert {chosen(config, participant_id=f"p-{n}") for n in range(100)} == {"b"}


@pytest.mark.parametrize(
    ("variants", "place"),
    [
        ([], "variants"),
        ([{"key": "a", "weight": 0}], ""),
        ([{"key": "a"}, {"key": "a"}], ""),
        ([{"key": "a", "weight": -1}], "variants.0.weight"),
        ([{"key": "a", "weight": 1.5}], "variants.0.weight"),
        ([{"weight": 1}], "variants.0.key"),
    ],
)
def test_mistakes_are_named(variants, place):
    assert place in problems("ab_split", {"variants": variants})
