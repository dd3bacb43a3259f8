from engine.nodes.outcomes import Completed
from tests.engine.nodes.steps import execute, problems


def test_it_ends_the_run_with_its_reason():
    expected = Completed({"reason": "sold_out"}, ends=True, reason="sold_out")
    assert execute("exit", {"reason": "sold_out"}) == expected


def test_a_reason_is_optional_but_not_empty():
    assert execute("exit", {}) == Completed({"reason": "exit"}, ends=True, reason="exit")
    assert problems("exit", {"reason": ""}) == {"reason": "this may not be empty"}
