"""The drawings of the life cycles are the tables that the models obey."""

import re
from pathlib import Path

import pytest
from django.apps import apps

from flows.transitions import StatefulModel

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/instance-lifecycle.md"
SECTION = re.compile(r"^## (\w+)\n.*?```mermaid\nstateDiagram-v2\n(.*?)```", re.DOTALL | re.MULTILINE)
ARROW = re.compile(r"^\s*(\S+) --> (\S+)$", re.MULTILINE)

DRAWN = {name: set(ARROW.findall(drawing)) for name, drawing in SECTION.findall(PAGE.read_text())}
MACHINES = [model for model in apps.get_models() if issubclass(model, StatefulModel)]


@pytest.mark.parametrize("model", MACHINES, ids=lambda model: model.__name__)
def test_the_drawing_has_the_arrows_of_the_table(model):
    drawn = {arrow for arrow in DRAWN[model.__name__] if "[*]" not in arrow}
    arrows = {(source, target) for source, targets in model.TRANSITIONS.arrows.items() for target in targets}

    assert drawn == arrows


@pytest.mark.parametrize("model", MACHINES, ids=lambda model: model.__name__)
def test_the_drawing_marks_where_rows_begin_and_end(model):
    drawn = DRAWN[model.__name__]

    assert {target for source, target in drawn if source == "[*]"} == {model._meta.get_field("status").default}
    assert {source for source, target in drawn if target == "[*]"} == model.TRANSITIONS.terminal
