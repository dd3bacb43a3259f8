"""Flows that run code of their own: on an activity worker, checked when they are published."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from engine import activity_worker, functions, ports, sandbox
from engine.models import Activity
from engine.ports import Busy
from flows import publishing
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage, run_until_idle


@pytest.fixture(autouse=True)
def own_sandbox() -> Iterator[None]:
    activity_worker._worker.clear()
    made = sandbox.MontySandbox()
    with ports.binding(sandbox=made, functions=functions.Functions()):
        yield
    made.close()


def coding(**config: Any) -> dict[str, Any]:
    branches = config.get("branches", [None])
    ends = {branch or "done": ("exit", {"reason": branch or "done"}) for branch in branches}
    nodes = {"entry": (*ENTRY, {None: "code"}), "code": ("custom_code", config, {b: b or "done" for b in branches})}
    return graph({**nodes, **ends})


def do_what_is_due() -> None:
    activity_worker.run(slice_s=5.0)
    run_until_idle()


def test_the_codes_branch_is_taken(passage: Callable[..., Passage]) -> None:
    source = """
score = context["entry"]["spent"] * args["weight"]
{"branch": "gold" if score > 10 else "blue", "score": score}
"""
    flow = coding(source=source, args={"weight": {"ref": "entry.weight"}}, branches=["gold", "blue"])

    ada = passage(flow).start(context={"spent": 6, "weight": 2})
    do_what_is_due()

    assert (ada.status, ada.instance.exit_reason) == ("completed", "gold")
    assert ada.results["code"] == {"score": 12}


def test_hostile_code_fails_its_run_and_is_not_tried_again(passage: Callable[..., Passage]) -> None:
    ada = passage(coding(source="'a' * 10**10", on_failure="fail")).start()

    do_what_is_due()

    assert (ada.status, ada.instance.error["code"]) == ("failed", "code_memory")
    assert Activity.objects.get().attempts == 1


def test_what_finds_no_place_is_put_off_and_has_made_no_attempt(passage: Callable[..., Passage]) -> None:
    class Full:
        def run(self, *_: Any, **__: Any) -> Any:
            raise Busy

        def fault_in(self, source: str) -> None:
            return None

    ada = passage(coding(source="1")).start()
    with ports.binding(sandbox=Full()):
        activity_worker.run(slice_s=5.0)
    row = Activity.objects.get()
    assert (row.status, row.attempts, row.deaths) == ("pending", 0, 0)

    with connection.cursor() as cursor:
        cursor.execute("UPDATE activities SET due_at = clock_timestamp()")
    do_what_is_due()

    assert ada.results["code"] == {"value": 1}


def test_source_that_cannot_be_read_is_not_published(tenant: Tenant) -> None:
    problems = publishing.validate(coding(source="x = 1\ny = ("), tenant).errors

    found = [(each.code, each.attr, each.node_id, "line 2" in each.detail) for each in problems]

    assert ("invalid_config", "graph.nodes.1.config.source", "code", True) in found


def test_a_function_that_nobody_registered_is_not_published(tenant: Tenant) -> None:
    problems = publishing.validate(coding(callable="gone"), tenant).errors

    found = [(each.code, each.attr) for each in problems]

    assert ("unresolved_reference", "graph.nodes.1.config.callable") in found
