"""The examples of the page about aggregates of one's own, run one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from engine.event_store import upcasters
from engine.projections import registry
from flows.errors import IllegalTransition

PAGE = Path(__file__).parents[3] / "docs/howto/aggregates.md"


@pytest.fixture(autouse=True)
def own_registrations(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(upcasters, "_chains", {})
    with registry.preserved():
        yield


def test_every_example_of_the_page_runs(transactional_db: None) -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "bank", "IllegalTransition": IllegalTransition}
    tables = []
    try:
        for example in examples:
            exec(compile(example, str(PAGE), "exec"), names)
            if "models.Model" in example:
                with connection.schema_editor() as editor:
                    editor.create_model(names["Balance"])
                tables.append(names["Balance"])
        tests = [name for name in names if name.startswith("test_")]
        for name in tests:
            names[name](*[None] * names[name].__code__.co_argcount)
    finally:
        for table in tables:
            with connection.schema_editor() as editor:
                editor.delete_model(table)

    assert len(examples) >= 8
    assert len(tests) == 3
