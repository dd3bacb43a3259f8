"""The examples of the page about projections, run one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.db import connection

from engine import ProjectionManager
from tests.engine.projections.conftest import wait_until_readable

PAGE = Path(__file__).parents[3] / "docs/howto/add-a-projection.md"


def catch_up(manager: ProjectionManager) -> None:
    wait_until_readable()
    manager.run_sync()


def test_every_example_of_the_page_runs(transactional_db: None) -> None:
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "shop", "catch_up": catch_up}
    tables: list[Any] = []
    try:
        for example in examples:
            exec(compile(example, str(PAGE), "exec"), names)
            for name in re.findall(r"class (\w+)\(models.Model\)", example):
                with connection.schema_editor() as editor:
                    editor.create_model(names[name])
                tables.append(names[name])
    finally:
        for table in tables:
            with connection.schema_editor() as editor:
                editor.delete_model(table)

    assert len(examples) == 5
    assert names["happened"]
