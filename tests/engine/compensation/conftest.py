"""Flows of bookings that can be undone; a test decides what succeeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import orjson
import pytest
from django.db import connection

from engine import activity_worker, bells
from engine.nodes import registry
from engine.nodes.action_config import ActionConfig
from engine.nodes.base import Node
from engine.nodes.context import StepContext
from engine.nodes.outcomes import Completed, Failed, Outcome
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle


class Book(Node):
    """Books something, and knows how to undo it."""

    type = "book"
    log: ClassVar[list[tuple[str, str, Any]]] = []
    answers: ClassVar[dict[str, list[Outcome]]] = {}

    class Config(ActionConfig):
        """What is booked."""

        what: str

    def execute(self, config: Any, step: StepContext) -> Outcome:
        Book.log.append(("book", config.what, step.idempotency_key))
        return _answer(config.what) or Completed({"booked": config.what})

    def compensate(self, config: Any, step: StepContext, result: dict[str, Any]) -> Outcome:
        Book.log.append(("undo", config.what, result.get("booked")))
        return _answer(f"undo {config.what}") or Completed({"undone": config.what})


class Pay(Node):
    """Pays; nothing is known of how to undo it."""

    type = "pay"

    class Config(ActionConfig):
        """Nothing to set."""

    def execute(self, config: Any, step: StepContext) -> Outcome:
        Book.log.append(("pay", step.node_id, step.idempotency_key))
        return _answer("pay") or Completed({"charge": "c-1"})


class Refund(Node):
    """Pays back what a reference names."""

    type = "refund"

    class Config(ActionConfig):
        """What is paid back, and to whom."""

        charge: Any

    def prepare(self, config: Any, step: StepContext) -> dict[str, Any]:
        return {"charge": step.resolve(config.charge)}

    def execute(self, config: Any, step: StepContext) -> Outcome:
        Book.log.append(("refund", step.input["charge"], step.idempotency_key))
        return _answer("refund") or Completed({})


def _answer(name: str) -> Outcome | None:
    return Book.answers[name].pop(0) if Book.answers.get(name) else None


@pytest.fixture(autouse=True)
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Messages are recorded, not sent."""
    messages: list[dict[str, Any]] = []

    def push(queue: str, payloads: list[bytes]) -> bool:
        assert queue == "activities"
        messages.extend(orjson.loads(payload) for payload in payloads)
        return True

    monkeypatch.setattr(bells.ringer, "push", push)
    return messages


@pytest.fixture(autouse=True)
def bookings() -> Iterator[type[Book]]:
    for node in (Book, Pay, Refund):
        registry.register(node)
    Book.log, Book.answers = [], {}
    activity_worker._worker.clear()
    yield Book
    activity_worker._worker.clear()


NO = Failed("no room", code="full", retryable=False)


def trip(last: str = "courier", **settings: Any) -> dict[str, Any]:
    """Stock, a payment, and a courier who may say no."""
    refund = {"compensation": {"type": "refund", "config": {"charge": {"ref": "result.charge"}}}}
    nodes = {
        "entry": (*ENTRY, {None: "stock"}),
        "stock": ("book", {"what": "stock"}, {None: "payment"}),
        "payment": ("pay", {}, {None: "check"}, refund),
        "check": ("condition", {}, {"true": "courier", "false": "done"}),
        "courier": ("book", {"what": last, "on_failure": "fail"}, {None: "done"}),
        "done": ("exit", {}),
    }
    return graph(nodes, **{"on_failure": "compensate"} | settings)


def work() -> None:
    """Run flows and side effects until nothing is due."""
    for _ in range(12):
        run_until_idle()
        if not activity_worker.run(slice_s=5.0) and not run_until_idle():
            return


def make_due() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE activities SET due_at = clock_timestamp() - interval '1 s' WHERE status = 'pending'")


def undone() -> list[str]:
    """What was undone, in order."""
    return [what for verb, what, _ in Book.log if verb in ("undo", "refund")]
