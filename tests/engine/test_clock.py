"""Processes agree on engine time, also one that read the anchor in a busy moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from engine import clock


@pytest.fixture
def thawed() -> Any:
    before, clock._clock.frozen = clock._clock.frozen, None
    yield
    clock._clock.frozen = before


def test_a_late_answer_does_not_set_a_process_back(transactional_db: None, thawed: None) -> None:
    clock._read_anchor()
    busy = iter([0.3])

    def late(execute: Any, *words: Any) -> Any:
        answer = execute(*words)
        for seconds in busy:
            threading.Event().wait(seconds)
        return answer

    first, second = clock._Clock(), clock._Clock()
    with connection.execute_wrapper(late):
        first.now()
    second.now()

    assert abs((second.now() - first.now()).total_seconds()) < 0.1


def test_engine_time_never_goes_back(transactional_db: None, thawed: None) -> None:
    mine = clock._Clock()
    seen = []
    for _ in range(20):
        mine.reading = None
        seen.append(mine.now())

    assert seen == sorted(seen)
