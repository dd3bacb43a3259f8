"""`manage.py demo`: the plan, the comparison, and the product running with a few people."""

import json
import re
from collections import Counter
from datetime import timedelta

import pytest

from engine import clock
from engine.conf import engine_settings
from engine.nodes import duration
from kalcifer.demo import mail, orders, plan, report
from kalcifer.demo.plan import SCRIPTS
from kalcifer.demo.receiver import Ledger
from kalcifer.management.commands import demo
from tests.support import processes

FEW = len(SCRIPTS)


@pytest.fixture
def people():
    return plan.draw(participants=60, run="run1", seed=7)


@pytest.fixture
def ledger():
    return Ledger()


def row(person, **changes):
    """An instance as the API shows it, after everything went as planned."""
    local = "2030-01-04T09:00:00+01:00"  # a Friday
    results = {"morning_in_berlin": {"local": local}} if person.script.morning else {}
    usual = {
        "id": f"instance of {person.participant_id}",
        "status": person.script.status,
        "exit_reason": person.script.reason,
        "current_nodes": [],
        "context": {"accumulated": results},
    }
    return usual | changes


def found(people):
    return {person.participant_id: row(person) for person in people}


def do_everything(people, ledger):
    for person in people:
        for effect in person.script.effects:
            ledger.done[effect, row(person)["id"]]["its key"] += 1


def test_the_same_seed_gives_the_same_people(people):
    again = plan.draw(participants=60, run="run1", seed=7)

    assert again == people
    assert plan.draw(participants=60, run="run1", seed=8) != people


def test_every_way_is_taken_by_somebody():
    people = plan.draw(participants=FEW, run="run1", seed=1)

    assert Counter(person.script.outcome for person in people) == Counter(script.outcome for script in SCRIPTS)


def test_a_second_run_meets_nobody_of_the_first(people):
    others = plan.draw(participants=60, run="run2", seed=7)

    assert not {each.participant_id for each in people} & {each.participant_id for each in others}


@pytest.mark.parametrize("flow", plan.FLOWS)
def test_scripts_act_at_nodes_that_wait_for_what_they_send(flow):
    graph = plan.graph(flow, "http://127.0.0.1:1")
    nodes = {node["id"]: node for node in graph["nodes"]}
    criteria = [
        each if isinstance(each, str) else each["event_type"] for each in graph["settings"]["exit_criteria"]["on_event"]
    ]

    for act in (act for script in SCRIPTS if script.flow == flow for act in script.acts):
        heard = nodes[act.at]["config"]["event_type"]
        assert act.event_type in ([heard] if isinstance(heard, str) else heard) + criteria


@pytest.mark.parametrize("flow", plan.FLOWS)
def test_two_seconds_of_lag_change_nobodys_decision(flow):
    nodes = plan.graph(flow, "http://127.0.0.1:1")["nodes"]
    patience = [duration.parse(node["config"]["timeout"]) for node in nodes if node["type"] == "wait_for_event"]

    left = min(patience) - plan.LONGEST_HESITATION

    assert left > 5 * timedelta(seconds=2 * demo.SPEED)


def test_nothing_is_wrong_when_all_goes_as_planned(people, ledger):
    do_everything(people, ledger)

    result = report.compare(people, found(people), ledger)

    assert result.ok
    assert all(line.expected == line.actual for lines in (*result.flows.values(), result.effects) for line in lines)


def test_somebody_who_ended_elsewhere_is_named(people, ledger):
    do_everything(people, ledger)
    lost = people[0]
    rows = found(people) | {lost.participant_id: row(lost, status="failed", exit_reason="no_edge")}

    result = report.compare(people, rows, ledger)

    assert [lost.participant_id in problem for problem in result.problems] == [True]
    assert "failed (no_edge)" in {line.name for line in result.flows[lost.script.flow]}


def test_a_lost_call_is_a_difference(people, ledger):
    do_everything(people, ledger)
    call = next(iter(ledger.done))
    del ledger.done[call]

    result = report.compare(people, found(people), ledger)

    assert len(result.problems) == 1
    assert "under 0 keys instead of 1" in result.problems[0]


def test_the_same_call_under_another_key_is_a_difference(people, ledger):
    do_everything(people, ledger)
    next(iter(ledger.done.values()))["another key"] += 1

    assert len(report.compare(people, found(people), ledger).problems) == 1


def test_the_same_call_again_under_its_key_is_none(people, ledger):
    do_everything(people, ledger)
    next(iter(ledger.done.values()))["its key"] += 1

    result = report.compare(people, found(people), ledger)

    assert result.ok
    assert result.repeated_calls == 1


def test_calls_of_an_interrupted_demo_are_none_of_ours(people, ledger):
    do_everything(people, ledger)
    ledger.done["reminder", "an instance of yesterday"]["its key"] += 1

    assert report.compare(people, found(people), ledger).ok


def test_a_nudge_on_a_saturday_is_a_difference(people, ledger):
    do_everything(people, ledger)
    nudged = next(person for person in people if person.script.morning)
    saturday = {"accumulated": {"morning_in_tokyo": {"local": "2030-01-05T09:00:00+09:00"}}}
    rows = found(people) | {nudged.participant_id: row(nudged, context=saturday)}

    assert "Sat 09:00" in report.compare(people, rows, ledger).problems[0]


def test_the_receiver_does_nothing_for_a_declined_card(ledger):
    answers = [ledger.take(("charge", "run"), "key", card="declined") for _ in range(4)]

    assert answers[-1] == "402"
    assert not ledger.done


# On an idle machine this takes forty seconds.
@pytest.mark.processes
def test_everybody_ends_where_they_should(data_dir, free_port):
    env = processes.environment(KALCIFER_DATA_DIR=str(data_dir))
    small = "--customers 50 --speed 100000 --workers 1 --web-workers 1"
    words = f"demo --exit --json --participants {FEW} {small} --port {free_port}"

    ended = processes.manage(*words.split(), env=env, timeout=220)

    assert ended.returncode == 0, ended.stderr[-3000:]
    result = json.loads(ended.stdout)
    assert result["ok"]
    assert sum(line["actual"] for lines in result["flows"].values() for line in lines) == FEW
    assert not re.search(r"Traceback", "".join(log.read_text() for log in (data_dir / "logs").glob("*.log")))


# --- messages ---

FLOWS = {flow: f"the flow {flow}" for flow in plan.FLOWS}


def all_sent(people):
    return {
        f"{person.participant_id} {name}": {
            "participant_id": person.participant_id,
            "node_id": "plain_mail" if name == "a mail" else name,
            "status": "opened",
            "reason": "",
        }
        for person in people
        if not mail.is_kept_out(person, FLOWS)
        for name in person.script.messages
    }


def test_messages_that_went_out_as_planned_have_no_difference(people):
    posted = all_sent(people)

    assert mail.differences(people, FLOWS, posted) == []
    assert all(expected == actual for expected, actual in mail.lines(people, FLOWS, posted).values())


@pytest.mark.parametrize("change", [{"status": "failed"}, {"node_id": "nobody_asked_for_it"}])
def test_a_message_that_went_wrong_is_told(people, change):
    posted = all_sent(people)
    name, row = next((name, row) for name, row in posted.items() if name.endswith(" invite"))

    told = mail.differences(people, FLOWS, posted | {name: row | change})

    assert told
    assert all(row["participant_id"] in each for each in told)


def test_a_message_that_came_twice_is_told(people):
    posted = all_sent(people)
    name, row = next((name, row) for name, row in posted.items() if name.endswith(" invite"))

    assert mail.differences(people, FLOWS, posted | {f"{name} again": row}) == [
        f"{row['participant_id']}: invite was sent 2 times instead of 1"
    ]


def test_whoever_is_kept_out_ends_there(people, ledger):
    do_everything(people, ledger)
    alone = next(person for person in people if person.script.flow == "win_back")
    rows = found(people) | {alone.participant_id: row(alone, status="exited", exit_reason="holdout")}

    assert report.compare(people, rows, ledger, kept_out=frozenset([alone.participant_id])).ok
    assert not report.compare(people, rows, ledger).ok


# --- order sagas ---


@pytest.fixture
def placed():
    return orders.draw(count=12, run="run1", seed=7)


def all_done(placed):
    calls = {
        (effect, order.order_id): Counter(["its key"]) for order in placed for effect in orders.EFFECTS[order.fails_at]
    }
    return {order.order_id: order.state for order in placed}, calls


def test_every_way_of_an_order_is_taken(placed):
    assert {order.fails_at for order in placed} == set(orders.WAYS)


def test_orders_that_went_as_planned_have_no_difference(placed):
    assert orders.differences(placed, *all_done(placed)) == []


def test_an_order_that_is_not_undone_is_told(placed):
    found, calls = all_done(placed)
    failed = next(order for order in placed if order.fails_at == "book_courier")
    del calls["refund_card", failed.order_id]
    found[failed.order_id] = "FAILED"

    told = orders.differences(placed, found, calls)

    assert told == [
        f"{failed.order_id}: is FAILED, and not COMPENSATED",
        f"{failed.order_id}: refund_card was done under 0 keys instead of 1",
    ]


def test_a_charge_under_two_keys_is_told(placed):
    found, calls = all_done(placed)
    good = next(order for order in placed if not order.fails_at)
    calls["charge_card", good.order_id]["another key"] += 1

    assert orders.differences(placed, found, calls) == [
        f"{good.order_id}: charge_card was done under 2 keys instead of 1"
    ]


@pytest.fixture
def of_another_process(monkeypatch, settings):
    """Gives a clock as a process has it that is told of no pace."""

    def make():
        settings.KALCIFER_CLOCK_SPEED = None
        engine_settings.cache_clear()
        monkeypatch.setattr(clock, "_clock", clock._Clock())
        return clock

    yield make
    engine_settings.cache_clear()


def test_the_pace_is_set_for_every_process_and_set_back(transactional_db, of_another_process):
    of_another_process()

    demo._set_pace(600)
    quick = of_another_process().speed()
    demo._set_pace(1)

    assert (quick, of_another_process().speed()) == (600.0, 1.0)
