"""What publishing tells of a flow's messages: warnings, which forbid nothing."""

from __future__ import annotations

from typing import Any

import pytest

from flows.graph.model import parse
from flows.graph.problems import Severity
from marketing.manners import messages_are_kind
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph

MAIL = ("send_email", {"content": {"subject": "Hi", "text": "Hi"}, "topic": "news"})
GATE = ("preference_gate", {"channel": "email"})


def told(*chain: tuple[Any, ...], **more: tuple[Any, ...]) -> list[tuple[str, str]]:
    """The codes and nodes of the warnings of a chain of nodes n0, n1 …"""
    nodes: dict[str, tuple[Any, ...]] = {"entry": (*ENTRY, {None: "n0"}), "done": ("exit", {}), **more}
    for place, (type_, config) in enumerate(chain):
        following = f"n{place + 1}" if place + 1 < len(chain) else "done"
        branches = {"preference_gate": ("true", "false"), "wait_for_event": ("event_received", "timed_out")}
        nodes[f"n{place}"] = (type_, config, dict.fromkeys(branches.get(type_, (None,)), following))
    found = list(messages_are_kind(parse(graph(nodes)), Tenant()))
    assert all(problem.severity is Severity.WARNING for problem in found)
    return sorted((problem.code, str(problem.node_id)) for problem in found)


def with_(**config: Any) -> tuple[str, dict[str, Any]]:
    return MAIL[0], MAIL[1] | config


def test_two_messages_with_no_wait_between_are_told_of() -> None:
    assert told(MAIL, ("add_tag", {"tag": "x"}), MAIL) == [("send_without_wait", "n2")]
    assert told(MAIL, MAIL, MAIL) == [("send_without_wait", "n1"), ("send_without_wait", "n2")]


@pytest.mark.parametrize(
    "between", [("wait", {"duration": "1d"}), ("wait_for_event", {"event_type": "x", "timeout": "1d"})]
)
def test_a_wait_of_any_kind_is_enough(between: tuple[str, Any]) -> None:
    assert told(MAIL, between, MAIL) == []
    assert told(with_(wait_for="opened"), MAIL) == []


def test_messages_on_different_branches_do_not_follow_each_other() -> None:
    nodes = {
        "entry": (*ENTRY, {None: "split"}),
        "split": ("condition", {}, {"true": "a", "false": "b"}),
        "a": (*MAIL, {None: "done"}),
        "b": (*MAIL, {None: "done"}),
        "done": ("exit", {}),
    }

    assert list(messages_are_kind(parse(graph(nodes)), Tenant())) == []


def test_marketing_without_a_topic_or_a_gate_is_told_of() -> None:
    unasked = with_(topic=None)

    assert told(unasked) == [("no_preference", "n0")]
    assert told(GATE, unasked) == []
    assert told(("preference_gate", {"channel": "sms"}), unasked) == [("no_preference", "n1")]
    assert told(with_(topic=None, message_class="service")) == []
    assert told(with_(topic=None, message_class="transactional")) == []


def test_a_graph_that_sends_nothing_has_nothing_to_be_told_of() -> None:
    assert told(("wait", {"duration": "1d"})) == []
