"""The batch loop: what a participant goes through, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable

from engine import triggers
from flows.models import Flow, FlowInstance
from tests.support.graphs import chain
from tests.support.passage import Passage, run_until_idle


def test_a_chain_runs_to_its_end_in_one_go(passage: Callable[..., Passage]) -> None:
    ada = passage(chain(3)).start(context={"plan": "trial"})

    assert ada.status == "completed"
    assert ada.path == ["entry", "n0", "n1", "n2", "done"]
    assert ada.event_types == ["flow_started", *["node_completed"] * 5, "completed"]
    assert [step.status for step in ada.steps] == ["completed"] * 5
    assert ada.instance.exit_reason == "through"
    assert ada.instance.context["entry"] == {"plan": "trial"}


def test_many_go_through_together(flow_of: Callable[..., Flow]) -> None:
    verdicts = triggers.start_many(flow_of(chain(3)), [f"p{i}" for i in range(600)])

    run_until_idle()

    assert all(each.refusal is None for each in verdicts)
    assert FlowInstance.objects.filter(status="completed").count() == 600
