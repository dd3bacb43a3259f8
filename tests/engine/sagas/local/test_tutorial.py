"""The order of docs/tutorial/order-saga.md, run as it stands there."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.processes import ROOT, wait_for

PAGE = ROOT / "docs/tutorial/order-saga.md"
ASKED = "Is there a courier to Oslo? "

Order = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def order(process_environment: dict[str, str], tmp_path: Path) -> Order:
    """Begin an order of this name; it asks about a courier."""
    (program,) = re.findall(r"```python\n(# order\.py.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    plain_file = tmp_path / "order.py"
    plain_file.write_text(program, encoding="utf-8")

    def begin(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", str(plain_file), name],
            env=process_environment | {"DJANGO_SETTINGS_MODULE": "kalcifer.settings"},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def test_an_order_with_a_courier_gives_the_results_of_its_steps(order: Order) -> None:
    said, trouble = order("order-1").communicate("yes\n", timeout=60)

    assert said == f"{ASKED}['R-book', {{'charged': 12}}, 'Oslo']\n", trouble


def test_an_order_without_one_is_undone_newest_first_and_cannot_be_run_again(order: Order) -> None:
    said, trouble = order("order-2").communicate("no\n", timeout=60)
    _, again = order("order-2").communicate("yes\n", timeout=60)

    assert said == f"{ASKED}refunded 12\nreleased book\n"
    assert "engine.errors.sagas.SagaFailed: " in trouble
    assert "engine.errors.sagas.SagaFinished: " in again


def test_an_order_whose_process_dies_goes_on_where_it_was(order: Order) -> None:
    dies = order("order-3")
    assert dies.stdout is not None
    assert dies.stdout.read(len(ASKED)) == ASKED
    dies.send_signal(signal.SIGKILL)
    dies.communicate(timeout=60)

    said = wait_for(lambda: order("order-3").communicate("yes\n", timeout=60)[0], seconds=60)

    assert said == f"{ASKED}['R-book', {{'charged': 12}}, 'Oslo']\n"
