from datetime import timedelta

from engine.expressions import Scope, parse
from engine.nodes.outcomes import Branched, Waiting
from tests.engine.nodes.steps import NOON, arrival, execute, problems, resume

MATCHING_CART = {"all": [{"path": "event.cart_id", "op": "eq", "value": {"ref": "entry.cart_id"}}]}
CONFIG = {"event_type": "order_completed", "filter": MATCHING_CART, "timeout": "1h", "lookback": "none"}


def test_it_waits_for_the_event_until_the_timeout():
    waiting = execute("wait_for_event", CONFIG, entry={"cart_id": "c-7"})
    assert isinstance(waiting, Waiting)
    assert waiting.until == NOON + timedelta(hours=1)
    assert waiting.event_types == ("order_completed",)
    assert waiting.lookback is None


def test_its_filter_can_be_asked_without_the_instance():
    waiting = execute("wait_for_event", CONFIG, entry={"cart_id": "c-7"})
    rule = parse(waiting.filter)
    assert rule.matches(Scope(event={"cart_id": "c-7"}))
    assert not rule.matches(Scope(event={"cart_id": "c-8"}))


def test_without_a_timeout_it_waits_for_ever():
    assert execute("wait_for_event", {"event_type": ["a", "b"]}) == Waiting(event_types=("a", "b"))


def test_it_looks_back_as_far_as_it_is_told_but_not_beyond_the_entry():
    def cut(lookback: str):
        facts = {"since_previous": NOON - timedelta(minutes=5)}
        return execute("wait_for_event", {"event_type": "a", "lookback": lookback}, **facts).lookback

    assert cut("none") is None
    assert cut("since_previous_node") == NOON - timedelta(minutes=5)
    assert cut("since_entry") == NOON - timedelta(hours=2)
    assert cut("30m") == NOON - timedelta(minutes=30)
    assert cut("3d") == NOON - timedelta(hours=2)


def test_an_event_takes_its_branch_and_leaves_its_data():
    outcome = resume("wait_for_event", CONFIG, arrival("order_completed", total=30))
    assert isinstance(outcome, Branched)
    assert outcome.branch == "event_received"
    assert outcome.result["timed_out"] is False
    assert outcome.result["occurred_at"].endswith("Z")
    scope = Scope(accumulated={"wait_1": outcome.result})
    assert parse({"path": "nodes.wait_1.event.total", "op": "eq", "value": 30}).matches(scope)


def test_patience_that_ran_out_takes_the_other():
    assert resume("wait_for_event", CONFIG) == Branched("timed_out", {"timed_out": True, "event": None})


def test_it_refuses_an_empty_list_of_events():
    assert "event_type" in problems("wait_for_event", {"event_type": []})
