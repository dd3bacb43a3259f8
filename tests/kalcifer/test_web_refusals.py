"""What gunicorn refuses before any view sees it has the shape of every other error."""

import json
import socket
from unittest.mock import Mock

import pytest
from gunicorn.config import Config
from gunicorn.http import errors
from gunicorn.workers.base import Worker

from kalcifer import web_server

REFUSED = [
    (errors.LimitRequestLine(9000, 4094), 414, "client_error", "uri_too_long"),
    (errors.LimitRequestHeaders("too many"), 431, "client_error", "headers_too_large"),
    (errors.InvalidHeader("Bad Header"), 400, "validation_error", "bad_request"),
    (errors.InvalidRequestLine("garbage"), 400, "validation_error", "bad_request"),
    (errors.UnsupportedTransferCoding("foo"), 501, "server_error", "not_implemented"),
    (RuntimeError("of its own"), 500, "server_error", "error"),
]


@pytest.fixture
def worker(monkeypatch):
    """A worker of gunicorn's after `post_worker_init`, which is not run."""
    monkeypatch.setattr("gunicorn.util.write_error", None)
    monkeypatch.setattr("kalcifer.collector.spare", lambda: None)
    made = Worker(1, 0, [], Mock(), 30, Config(), Mock())
    web_server.post_worker_init(made)
    yield made
    made.tmp.close()


@pytest.mark.parametrize(("error", "status", "kind", "code"), REFUSED)
def test_what_gunicorn_refuses_is_told_as_json(worker, error, status, kind, code):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker.handle_error(None, theirs, ("127.0.0.1", 1), error)
        theirs.close()
        head, _, body = ours.makefile("rb").read().partition(b"\r\n\r\n")

    lines = head.decode().split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {status} ")
    assert f"Content-Length: {len(body)}" in lines
    told = json.loads(body)
    assert (told["type"], told["errors"][0]["code"], "request_id" in told) == (kind, code, status >= 500)
