"""Log lines are JSON with what the context has bound."""

import json

from tests.support import processes

SCRIPT = """
import django, logging, structlog
django.setup()
structlog.contextvars.bind_contextvars(request_id="r1", tenant="t1")
structlog.get_logger("engine").info("instance.advanced", instance="i1", node="n1")
logging.getLogger("library").warning("plain %s", "words")
logging.getLogger("kombu.transport.virtual.base").info("Restoring 3 unacknowledged message(s)")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("library").exception("failed")
"""


def test_both_kinds_of_loggers_write_one_json_object_per_line():
    env = processes.environment(DJANGO_SETTINGS_MODULE="kalcifer.settings")

    lines = [json.loads(line) for line in processes.python("-c", SCRIPT, env=env).stderr.splitlines()]

    assert [line["event"] for line in lines] == ["instance.advanced", "plain words", "failed"]
    assert lines[0] | {"timestamp": ""} == {
        "event": "instance.advanced",
        "instance": "i1",
        "node": "n1",
        "request_id": "r1",
        "tenant": "t1",
        "logger": "engine",
        "level": "info",
        "timestamp": "",
    }
    assert lines[1]["tenant"] == "t1"
    assert "ZeroDivisionError" in lines[2]["exception"]
