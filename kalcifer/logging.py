"""Structured logs: one JSON line per event, on stderr, with whatever the context has bound."""

import logging.config
import sys
from typing import Any

import orjson
import structlog
from django.conf import settings

from engine.saga_context import current_saga_id, current_step


def configure() -> None:
    """Send everything that is logged, by structlog or by the standard library, through one formatter."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _add_saga,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_standard_library(shared))


def _standard_library(shared: list[Any]) -> dict[str, Any]:
    last = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [last, structlog.processors.JSONRenderer(serializer=_to_json)],
        "foreign_pre_chain": shared,
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": sys.stderr}},
        "root": {"handlers": ["stderr"], "level": settings.KALCIFER_LOG_LEVEL},
        "loggers": {
            "django": {"level": "WARNING"},
            # A line per message received and task done is noise at a thousand doorbells per second.
            "celery": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            # At each stop Celery puts back the doorbells that were not answered, which says nothing to anybody.
            "kombu": {"level": "WARNING"},
            # A line per outgoing call.
            "httpx": {"level": "WARNING"},
            "django_celery_beat": {"level": "WARNING"},
            # A client's mistake is the client's to read.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
        },
    }


# Whatever runs for a saga says so, on the loop, in threads and in workers alike.
def _add_saga(_logger: Any, _method: str, line: Any) -> Any:
    if (saga_id := current_saga_id.get()) is not None:
        line.setdefault("saga_id", saga_id)
        if (step := current_step.get()) is not None:
            line.setdefault("step", step.step)
    return line


def _to_json(line: Any, **_: Any) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
