"""Workers killed in mid-flight, doorbells lost: after the restart all complete, and each effect is recorded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from engine import triggers
from engine.models import Activity, StoredEvent
from flows.models import ExecutionStep, Flow, FlowInstance
from kalcifer.supervisor import Supervisor
from marketing.models import Conversion
from tests.support.graphs import ENTRY, graph
from tests.support.processes import wait_for
from tests.support.soundness import assert_all_sound

pytestmark = pytest.mark.processes

PEOPLE = 300
GRAPH: dict[str, tuple[Any, ...]] = {
    "entry": (*ENTRY, {None: "first"}),
    "first": ("trace", {}, {None: "pause"}),
    "pause": ("wait", {"duration": "1s"}, {None: "second"}),
    "second": ("trace", {}, {None: "count"}),
    "count": ("track_conversion", {"event_name": "through", "revenue": "0.10", "currency": "EUR"}, {None: "done"}),
    "done": ("exit", {"reason": "through"}),
}


def forget_every_doorbell() -> None:
    """What FLUSHALL does to this installation; other tests share the server."""
    server = redis.Redis.from_url(settings.REDIS_URL)
    names = list(server.scan_iter(f"{settings.KALCIFER_REDIS_PREFIX}*", count=1000))
    if names:
        server.delete(*names)
    server.close()


def traced(trace: Path) -> Counter[str]:
    return Counter(trace.read_text().split()) if trace.exists() else Counter()


def test_all_workers_are_killed_and_every_message_is_lost(
    flow_of: Callable[..., Flow], workers: Callable[..., Supervisor], trace: Path
) -> None:
    running = workers("advance", "activities", "sweeper")
    verdicts = triggers.start_many(flow_of(graph(GRAPH)), [f"p{i}" for i in range(PEOPLE)])

    wait_for(lambda: len(traced(trace)) > PEOPLE // 5, seconds=30, what="some effects")
    running.kill("advance", "activities", "sweeper")
    forget_every_doorbell()
    before = set(Activity.objects.filter(status="completed").values_list("idempotency_key", flat=True))
    done_before = traced(trace)

    completed = FlowInstance.objects.filter(status="completed")
    wait_for(lambda: completed.count() == PEOPLE, seconds=80, what="everybody to be through")

    keys = {f"{each.instance_id}:{node}:1" for each in verdicts for node in ("first", "second")}
    done = traced(trace)
    assert set(done) == keys
    assert {key: done[key] for key in before} == {key: done_before[key] for key in before}
    assert StoredEvent.objects.filter(type="activity_completed").count() == len(keys)
    assert ExecutionStep.objects.filter(status="completed").count() == PEOPLE * 6
    assert Conversion.objects.count() == PEOPLE
    assert_all_sound()
