"""What is forgotten, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import retention
from engine.models import EventSubscription
from tests.support.graphs import chain
from tests.support.passage import Passage


def test_a_goal_is_forgotten_when_its_window_is_over(passage: Callable[..., Passage], now: Any) -> None:
    goal = {"name": "won", "event_type": "bought", "window": "7d"}
    passage(chain(1, goal=goal)).start()

    now.advance(days=6)
    retention.prune()
    assert EventSubscription.objects.filter(kind="goal").count() == 1

    now.advance(days=2)
    retention.prune()
    assert not EventSubscription.objects.exists()
