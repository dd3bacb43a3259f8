"""Connections to the broker that come back quickly: Celery's own wait up to 30 s between two attempts."""

from typing import Any, Final

import kombu
from celery.app.amqp import AMQP

from kalcifer import liveness

# Seconds between attempts while the broker is away: the first, each further one longer by this, at most that.
FIRST, STEP, LONGEST = 0.2, 0.2, 1.0
# What kombu's own method takes, in its order: it is called by place, too, when a message finds the broker gone.
_TAKES: Final = (
    "errback", "max_retries", "interval_start", "interval_step", "interval_max", "callback",
    "reraise_as_library_errors", "timeout",
)  # fmt: skip


class Connection(kombu.Connection):
    """A connection whose owner is alive while it waits."""

    def _ensure_connection(self, *args: Any, **options: Any) -> Any:
        given = dict(zip(_TAKES, args, strict=False)) | options
        inner = given.pop("callback", None)

        def turn() -> None:
            liveness.stamp()
            if inner is not None:
                inner()

        pace = {"interval_start": FIRST, "interval_step": STEP, "interval_max": LONGEST}
        return super()._ensure_connection(**given | pace | {"callback": turn})


class QuickAMQP(AMQP):
    """Makes every connection of the app, the worker's and beat's alike, a quick one."""

    Connection = Connection
    BrokerConnection = Connection
