"""Whoever publishes to a broker that was restarted reaches it again, over the connection that was there before."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL

import pytest

from kalcifer.broker import Connection
from kalcifer.embedded import redis
from kalcifer.embedded.layout import Layout
from tests.support.processes import wait_for

PATIENCE = {"max_retries": 20, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2}


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A Redis of this test's own."""
    folder = Path(tempfile.mkdtemp(prefix="kalcifer-"))
    layout = Layout.of(folder)
    for needed in (layout.redis, layout.logs, layout.redis_socket.parent):
        needed.mkdir(parents=True, exist_ok=True)
    redis.start(layout)
    yield layout
    redis.stop(layout)
    shutil.rmtree(folder)


def test_a_message_that_finds_the_broker_gone_arrives_when_it_is_back(layout: Layout) -> None:
    address = f"redis+socket://{layout.redis_socket}"
    tries = []

    def bring_it_back(error: Exception, interval: float) -> None:
        tries.append(error)
        redis.start(layout)

    with Connection(address) as connection, connection.SimpleQueue("bells") as queue:
        queue.put("before")
        server = redis.running(layout)
        assert server is not None
        server.send_signal(SIGKILL)
        wait_for(lambda: not redis.is_up(layout), what="the broker to be gone")

        patiently = {"retry": True, "retry_policy": PATIENCE | {"errback": bring_it_back}}
        # As Celery does: a broker that forgets everything forgets its queues, too.
        queue.put("after", declare=[queue.queue], **patiently)

    with Connection(address) as connection, connection.SimpleQueue("bells") as queue:
        assert queue.get(timeout=10).payload == "after"
    assert tries
