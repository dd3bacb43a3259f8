"""A supervised process is started again when it dies, and killed when it falls silent."""

import os
import sys
from signal import SIGKILL

import pytest

from kalcifer.supervisor import child
from tests.support.processes import wait_for

pytestmark = pytest.mark.processes

WAITING = [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]


@pytest.fixture
def waiting(tmp_path):
    """A process that only waits, and never stamps its file by itself."""
    tended = child.Child("waiting", WAITING, os.environ | {"KALCIFER_ALIVE_FILE": str(tmp_path / "alive")}, log=None)
    tended.start()
    yield tended
    tended.signal(SIGKILL)
    tended.wait(60)


def tend_until_replaced(tended, pid):
    def replaced():
        tended.tend()
        return tended.pid not in {None, pid}

    wait_for(replaced, what="another process")


def test_a_dead_process_is_replaced(waiting):
    first = waiting.pid
    os.kill(first, SIGKILL)

    tend_until_replaced(waiting, first)


def test_a_silent_process_is_killed_and_replaced(waiting, monkeypatch):
    first = waiting.pid
    waiting.end_if_silent()
    assert waiting.pid == first

    monkeypatch.setattr(child, "FIRST_SIGN_WITHIN", -1.0)
    waiting.end_if_silent()

    tend_until_replaced(waiting, first)


def test_one_that_has_shown_life_and_fell_silent_is_not_waited_for_as_long(waiting, monkeypatch, tmp_path):
    first = waiting.pid
    (tmp_path / "alive").touch()

    monkeypatch.setattr(child, "SILENCE", -1.0)
    waiting.end_if_silent()

    tend_until_replaced(waiting, first)


def test_one_that_dies_again_and_again_is_given_more_and_more_time(waiting):
    pauses = []
    for _ in range(4):
        waiting.signal(SIGKILL)
        waiting.wait(5)
        waiting.tend()
        pauses.append(waiting.pause)
        waiting.start()

    assert pauses == sorted(set(pauses))


def test_a_log_is_written_where_it_is_asked_for(tmp_path):
    speaking = child.Child(
        "speaking",
        [sys.executable, "-c", "print('here')"],
        os.environ | {"KALCIFER_ALIVE_FILE": str(tmp_path / "alive")},
        log=tmp_path / "speaking.log",
    )

    speaking.start()

    assert speaking.wait(60)
    assert (tmp_path / "speaking.log").read_text() == "here\n"
