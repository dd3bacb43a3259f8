"""Data directories and ports of the tests of what runs everything."""

import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from kalcifer.embedded import servers
from kalcifer.embedded.layout import Layout


@pytest.fixture
def data_dir():
    """A data directory below one that is closed to every other user."""
    folder = Path(tempfile.mkdtemp(prefix="kalcifer-"))
    yield folder / "data"
    servers.leave(folder / "data")
    servers.stop_abandoned(Layout.of(folder / "data"))
    shutil.rmtree(folder)


@pytest.fixture
def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
