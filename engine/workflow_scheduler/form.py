"""What can be promised: everything that is refused is refused here, when it is asked for, and names its field."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from engine import callables, values
from engine.errors import InvalidSchedule, UnknownFlow
from engine.patience import Retry, is_seconds
from flows.models import Flow

JSON = dict[str, Any]

LONGEST: Final = 255
PATIENTLY: Final = Retry(attempts=5, backoff_s=5.0, max_interval_s=900.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """When: a delay (a timedelta, or seconds), or a moment with its zone; neither means now."""

    delay: timedelta | float | None
    at: datetime | None

    def after(self, now: datetime) -> datetime:
        """Give the moment in engine time, or raise InvalidSchedule that names `delay` or `at`."""
        if self.delay is not None and self.at is not None:
            raise InvalidSchedule("Say delay or at, not both.", attr="at")
        if self.at is not None:
            return _aware(self.at)
        try:
            return now + _length(self.delay)
        except OverflowError:
            raise InvalidSchedule("The delay ends after the year 9999.", attr="delay") from None


def saga(definition: Any, saga_id: Any, given: Any) -> JSON:
    """Give the payload of a saga that is to start."""
    name = _text(definition, "definition")
    return {"definition": name, "saga_id": _text(saga_id, "saga_id"), "input": _kept([given], "input")[0]}


def flow(
    target: Flow | UUID | str,
    participant_id: Any,
    context: Mapping[str, Any] | None,
    entry_node: str | None,
    correlation_key: str | None,
) -> JSON:
    """Give the payload of a flow that is to start."""
    try:
        flow_id = str(target.pk if isinstance(target, Flow) else UUID(str(target)))
    except ValueError:
        raise UnknownFlow(attr="flow") from None
    if context is not None and not isinstance(context, Mapping):
        raise InvalidSchedule("The context is an object.", attr="context")
    return {
        "flow_id": flow_id,
        "participant_id": _text(participant_id, "participant_id"),
        "context": _kept(context or {}, "context"),
        "entry_node": None if entry_node is None else _text(entry_node, "entry_node"),
        "correlation_key": None if correlation_key is None else _text(correlation_key, "correlation_key"),
    }


def task(target: Callable[..., Any] | str, args: Any, kwargs: Any, retry: Retry | None, timeout: Any) -> JSON:
    """Give the payload of a task that is to run."""
    address = target if isinstance(target, str) else _address(target)
    try:
        callables.find(address)
    except callables.NotFound as problem:
        raise InvalidSchedule(f"No worker could call it: {problem}", attr="task") from None
    if len(address) > LONGEST:
        raise InvalidSchedule(f"The address of a task has at most {LONGEST} characters.", attr="task")
    if isinstance(args, str) or not isinstance(args, Sequence):
        raise InvalidSchedule("The arguments are a list.", attr="args")
    named = {} if kwargs is None else kwargs
    if not isinstance(named, Mapping) or not all(isinstance(name, str) for name in named):
        raise InvalidSchedule("The named arguments are an object.", attr="kwargs")
    if not is_seconds(timeout) or timeout == 0:
        raise InvalidSchedule("The timeout is a number of seconds above 0.", attr="timeout")
    given = {"args": _kept(args, "args"), "kwargs": _kept(named, "kwargs")}
    patience = PATIENTLY if retry is None else Retry.check(retry)
    return {"task": address, **given, "retry": patience.as_json(), "timeout_s": float(timeout)}


def _address(target: Any) -> str:
    if not callable(target):
        raise InvalidSchedule("A task is a function, or its module:name.", attr="task")
    return callables.address_of(target)


def _text(value: Any, attr: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or "\0" in value:
        raise InvalidSchedule(f"{attr} is a text of 1 to {LONGEST} characters.", attr=attr)
    return value


def _kept(value: Any, attr: str) -> Any:
    kept = values.kept_exactly(value)
    if kept is None:
        detail = "Only plain JSON is kept until then: texts, finite numbers, true, false, null, lists and objects."
        raise InvalidSchedule(detail, attr=attr)
    return kept


def _aware(at: Any) -> datetime:
    if not isinstance(at, datetime):
        raise InvalidSchedule("The moment is a datetime.", attr="at")
    if at.utcoffset() is None:
        raise InvalidSchedule("A moment needs its time zone.", attr="at")
    return at


def _length(delay: Any) -> timedelta:
    if delay is None:
        return timedelta(0)
    if isinstance(delay, timedelta):
        length = delay
    elif isinstance(delay, bool) or not isinstance(delay, int | float) or not math.isfinite(delay):
        raise InvalidSchedule("A delay is a timedelta, or a number of seconds.", attr="delay")
    else:
        length = timedelta(seconds=delay)
    if length < timedelta(0):
        raise InvalidSchedule("A delay is not negative.", attr="delay")
    return length
