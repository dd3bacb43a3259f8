"""What programs import from `engine`, and the examples of its page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

import engine
from engine import functions, inbox, operations, schedules
from engine.models import InboundEvent
from flows import starting
from flows.models import Flow, FlowInstance
from tests.engine.operating import for_event, waiting
from tests.support.passage import run_until_idle

PAGE = Path(__file__).parents[2] / "docs/howto/python-api.md"


@pytest.fixture(autouse=True)
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples register is gone after them."""
    monkeypatch.setattr(schedules, "_audiences", {})
    monkeypatch.setattr(functions, "_functions", dict(functions._functions))


def test_every_example_of_the_page_runs(flow_of: Callable[..., Flow]) -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"flow": flow_of(for_event(event_type="order_paid"))}

    for example in examples:
        exec(compile(example, str(PAGE), "exec"), names)

    assert len(examples) >= 7


def test_every_name_is_there() -> None:
    assert set(engine.__all__) == set(engine._HOME_OF) <= set(dir(engine))
    for name in engine.__all__:
        assert callable(found := getattr(engine, name)) or isinstance(found, ContextVar)
    with pytest.raises(AttributeError, match="nothing"):
        engine.nothing  # noqa: B018


def test_importing_the_package_needs_no_settings() -> None:
    code = "import sys, engine; assert 'django' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PAGE.parents[2], check=False, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_flow_starts_itself(flow_of: Callable[..., Flow]) -> None:
    instance = flow_of(waiting()).start("ada", context={"plan": "trial"})

    assert instance.context["entry"] == {"plan": "trial"}


def test_a_flow_without_an_engine_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_started_by", [])

    with pytest.raises(starting.NoEngine, match="INSTALLED_APPS"):
        Flow().start("ada")


def test_all_verbs_roll_back_with_their_caller(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(waiting())
    held = engine.start(flow, "held")
    run_until_idle()

    with transaction.atomic():
        engine.start(flow, "ada")
        engine.publish_event("ada", "clicked", tenant=flow.tenant)
        engine.pause(held)
        engine.resume(held)
        engine.cancel(held)
        transaction.set_rollback(True)

    held.refresh_from_db()
    assert held.status == "waiting"
    assert FlowInstance.objects.count() == 1
    assert not InboundEvent.objects.exists()


def test_twins_commit_on_their_own(flow_of: Callable[..., Flow]) -> None:
    flow = flow_of(waiting())

    async def go() -> FlowInstance:
        instance = await engine.astart(flow, "ada")
        await engine.apublish_event("ada", "clicked", tenant=flow.tenant_id)
        await engine.apause(instance)
        await engine.aresume(instance)
        return await engine.acancel(instance)

    assert async_to_sync(go)().status == "exited"
    assert InboundEvent.objects.count() == 1


def test_twins_are_named_for_their_verbs() -> None:
    assert engine.acancel.__name__ == "acancel"
    assert engine.acancel.__doc__ == operations.cancel.__doc__
    assert engine.apublish_event.__doc__ == inbox.publish_event.__doc__
