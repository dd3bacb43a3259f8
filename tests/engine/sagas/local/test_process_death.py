"""Processes that die with a saga, and what becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from engine.models import SagaRun
from engine.sagas import recovery
from tests.engine.sagas.local.conftest import log_of, row
from tests.support import processes

SHOP = "tests/engine/sagas/local/shop.py"
AS_MODULE = ("-c", "import asyncio, tests.engine.sagas.local.shop as shop; asyncio.run(shop.main())")

ALL = ["reserve", "charge", "ship"]


class Shop:
    """The plain file, run by other processes."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.notes = folder / "notes"
        self.notes.touch()
        plain = {"DJANGO_SETTINGS_MODULE": "kalcifer.settings", "SHOP_NOTES": str(self.notes)}
        self.environment = environment | plain

    def run(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return processes.python(*(words or (SHOP,)), env=self.environment | settings)

    @contextmanager
    def started(self, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """A process that is looked at from outside."""
        running = subprocess.Popen(
            [sys.executable, SHOP],
            cwd=processes.ROOT,
            env=self.environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A suite that was started in the background has its children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # takes no lock
        )
        with running:
            try:
                yield running
            finally:
                running.kill()

    @contextmanager
    def frozen_in(self, step: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """A process that is stopped as soon as it is in this step."""
        with self.started(SHOP_FREEZES=step, **settings) as frozen:
            processes.wait_for(lambda: step in self.names(), seconds=30, what="the step to begin")
            yield frozen

    def called(self) -> list[list[str]]:
        return [line.split() for line in self.notes.read_text().splitlines()]

    def names(self) -> list[str]:
        return [call[0] for call in self.called()]


@pytest.fixture
def shop(process_environment: dict[str, str], tmp_path: Path) -> Shop:
    return Shop(process_environment, tmp_path)


def is_abandoned() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT lease_until < clock_timestamp() FROM saga_runs")
        return bool((cursor.fetchone() or [False])[0])


def sweep() -> None:
    """Do what the sweep does once a lease has run out."""
    processes.wait_for(is_abandoned, what="the lease to run out")
    assert recovery.take_over({"actor": "sweep", "task_id": ""}) == 1


def test_a_plain_file_runs_a_saga(shop: Shop) -> None:
    ended = shop.run()

    assert ended.stdout.strip() == "['reserved book', {'charged': 100}, 'shipped']", ended.stderr
    assert shop.names() == ALL
    assert row().status == "COMPLETED"


@pytest.mark.parametrize("stage", ALL)
def test_another_process_goes_on_where_one_was_killed(shop: Shop, stage: str) -> None:
    assert shop.run(SHOP_DIES=stage).returncode == -signal.SIGKILL
    before = shop.called()

    ended = shop.run()

    assert ended.stdout.strip() == "['reserved book', {'charged': 100}, 'shipped']", ended.stderr
    assert shop.names() == [*ALL[: ALL.index(stage) + 1], *ALL[ALL.index(stage) :]]
    again = shop.called()[len(before)]
    assert again[:2] == before[-1][:2]
    assert "saga_taken_over" in log_of()


@pytest.mark.parametrize("stage", ["refund", "release"])
def test_another_process_undoes_what_one_had_begun_to_undo(shop: Shop, stage: str) -> None:
    assert shop.run(SHOP_DIES=stage, SHOP_FAILS="1").returncode == -signal.SIGKILL

    ended = shop.run(SHOP_FAILS="1")

    assert "SagaFailed" in ended.stdout, ended.stderr
    undone = ["refund", "release"]
    assert shop.names() == [*ALL, *undone[: undone.index(stage) + 1], *undone[undone.index(stage) :]]
    assert row().status == "COMPENSATED"


def test_a_step_that_may_have_happened_is_undone_when_its_second_call_fails(shop: Shop) -> None:
    assert shop.run(SHOP_DIES="ship").returncode == -signal.SIGKILL

    shop.run(SHOP_FAILS="1")

    assert row().steps[2]["state"] == "unknown"
    assert shop.names()[-2:] == ["refund", "release"]


def test_ctrl_c_undoes_what_was_done(shop: Shop) -> None:
    with shop.started(SHOP_HANGS="1") as running:
        processes.wait_for(lambda: "ship" in shop.names(), seconds=30, what="the step to begin")
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=30)

    assert "KeyboardInterrupt" in said
    assert shop.names() == [*ALL, "refund", "release"]
    assert row().status == "COMPENSATED"


def test_what_only_its_process_can_call_is_stuck_until_it_is_executed_again(shop: Shop) -> None:
    assert shop.run(SHOP_DIES="charge").returncode == -signal.SIGKILL

    sweep()

    assert row().status == "FAILED"
    assert row().error["code"] == "not_recoverable"
    assert row().error["left"] == ["stock"]

    ended = shop.run()
    assert ended.stdout.strip() == "['reserved book', {'charged': 100}, 'shipped']", ended.stderr
    assert shop.names() == ["reserve", "charge", "charge", "ship"]
    assert row().status == "COMPLETED"


def test_workers_go_on_where_everything_can_be_imported(shop: Shop, real_workers: Callable[..., Any]) -> None:
    assert shop.run(*AS_MODULE, SHOP_DIES="charge").returncode == -signal.SIGKILL
    assert row().runs_in == "process"

    real_workers("advance", "activities", "sweeper", environment={"SHOP_NOTES": str(shop.notes)})

    processes.wait_for(lambda: row().status == "COMPLETED", seconds=30, what="the workers")
    assert shop.names() == ["reserve", "charge", "charge", "ship"]
    assert row().runs_in == "workers"
    keys = {call[1] for call in shop.called() if call[0] == "charge"}
    assert keys == {"payment"}


def test_two_processes_do_not_execute_one_saga(shop: Shop) -> None:
    with shop.frozen_in("charge", SHOP_LEASE="60"):
        refused = shop.run("-c", EXECUTE_ONCE)

    assert "SagaRunning" in refused.stderr


def test_a_frozen_process_calls_nothing_more_when_its_saga_was_taken_over(shop: Shop) -> None:
    with shop.frozen_in("charge") as frozen:
        ended = shop.run()
        assert "shipped" in ended.stdout, ended.stderr

        os.kill(frozen.pid, signal.SIGCONT)
        said, _ = frozen.communicate(timeout=30)

    assert "SagaTakenOver" in said
    assert shop.names() == ["reserve", "charge", "charge", "ship"]
    assert SagaRun.objects.get().status == "COMPLETED"


EXECUTE_ONCE = """
import asyncio, runpy
shop = runpy.run_path("tests/engine/sagas/local/shop.py", run_name="once")
engine = shop["WorkflowEngine"]()
engine.register_saga(shop["order"]())
asyncio.run(engine.execute_saga("order-1"))
"""
