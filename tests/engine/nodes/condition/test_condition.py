from engine.nodes import registry
from engine.nodes.base import Need
from engine.nodes.outcomes import Branched
from tests.engine.nodes.steps import execute, problems


def test_it_takes_the_branch_that_the_rule_answers():
    rule = {"all": [{"path": "entry.value", "op": "gte", "value": 100}]}
    assert execute("condition", rule, entry={"value": 100}) == Branched("true", {"matched": True})
    assert execute("condition", rule, entry={"value": 99}) == Branched("false", {"matched": False})


def test_it_reads_earlier_results_by_id_and_by_their_second_name():
    rule = {"path": "nodes.stock.response.all_available", "op": "eq", "value": True}
    facts = {"accumulated": {"in_stock": {"response": {"all_available": True}}}, "aliases": {"stock": "in_stock"}}
    assert execute("condition", rule, **facts) == Branched("true", {"matched": True})


def test_an_empty_rule_matches():
    assert execute("condition", {}) == Branched("true", {"matched": True})


def test_it_names_the_place_of_a_mistake_in_the_rule():
    assert problems("condition", {"all": [{"path": "entry.x", "op": "equals", "value": 1}]}).keys() == {"all.0.op"}


def test_it_needs_what_its_rule_reads():
    def needs(path: str) -> tuple[Need, ...]:
        config = registry.parse_config("condition", {"path": path, "op": "exists"})
        return registry.get("condition").needs_of(config)

    assert needs("entry.x") == ()
    assert needs("participant.country") == (Need.PROFILE,)
    assert needs("nodes.mail.delivery.state") == (Need.DELIVERIES,)
