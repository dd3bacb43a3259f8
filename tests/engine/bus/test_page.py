"""The examples of the page about the bus."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.models import Activity
from engine.projections import registry

PAGE = Path(__file__).parents[3] / "docs/howto/react-to-events.md"


class Receipts:
    """Stands for whatever sends receipts."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []

    def send(self, order: int, *, key: str) -> None:
        self.sent.append((order, key))


def test_every_example_of_the_page_runs(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None], tmp_path: Path
) -> None:
    handlers, apps, *rest = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    receipts, names = Receipts(), dict[str, Any](place_order=lambda: 42)
    shop = module("shop", "", monkeypatch)
    shop.__path__ = [str(tmp_path)]
    module("shop.handlers", handlers, monkeypatch, receipts=receipts)
    config = module("shop.apps", apps, monkeypatch).ShopConfig

    config("shop", shop).ready()
    assert "bus:shop.handlers:send_receipt" in registry.names()
    for example in rest:
        exec(compile(example, str(PAGE), "exec"), names)
    work()

    told = Activity.objects.get(target="shop.handlers:send_receipt")
    assert receipts.sent == [(42, told.input["event"]["event_id"])]
    assert len(rest) == 3
    names["bus"].publish_sync(names["Event"]("order_paid", {"order": 43}))
    work()
    parked = Activity.objects.get(status="parked")
    assert (parked.kind, parked.target, parked.attempts) == ("delivery", "tell-partner", 3)


def module(name: str, source: str, monkeypatch: pytest.MonkeyPatch, **known: Any) -> Any:
    made = ModuleType(name)
    made.__dict__.update(known)
    monkeypatch.setitem(sys.modules, name, made)
    exec(compile(source, str(PAGE), "exec"), made.__dict__)
    return made
