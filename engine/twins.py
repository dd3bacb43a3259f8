"""
The verbs for asynchronous callers.

Django has no asynchronous transactions, so each twin opens one of its own and commits before it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import transaction

from engine import inbox, operations, triggers

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def twin_of(verb: Callable[Parameters, Result]) -> Callable[Parameters, Coroutine[Any, Any, Result]]:
    """Make the asynchronous twin of a verb."""

    @wraps(verb)
    async def twin(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        def act() -> Result:
            with transaction.atomic():
                return verb(*args, **kwargs)

        return await sync_to_async(act, thread_sensitive=True)()

    twin.__name__ = twin.__qualname__ = f"a{verb.__name__}"
    return twin


astart = twin_of(triggers.start)
apublish_event = twin_of(inbox.publish_event)
acancel = twin_of(operations.cancel)
apause = twin_of(operations.pause)
aresume = twin_of(operations.resume)
aretry = twin_of(operations.retry)
