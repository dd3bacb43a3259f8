"""How a flow is started: the engine says so at start-up."""

from collections.abc import Callable
from typing import Any

_started_by: list[Callable[..., Any]] = []


class NoEngine(RuntimeError):
    """No engine is installed that could start a flow: add `engine` to INSTALLED_APPS."""


def use(starter: Callable[..., Any]) -> None:
    """Start flows with `starter(flow, participant_id, **options)` from now on."""
    _started_by[:] = [starter]


def start(flow: Any, participant_id: str, **options: Any) -> Any:
    """Start a flow for a participant, in the caller's transaction where there is one."""
    if not _started_by:
        raise NoEngine(NoEngine.__doc__)
    return _started_by[0](flow, participant_id, **options)
