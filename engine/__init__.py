"""
The engine: how flows run. What programs use of it is importable from here.

The names are looked up when they are first used, so that importing the package never needs Django to be set up.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.bus.event_bus import EventBus
    from engine.compensation.verbs import acompensate, compensate
    from engine.compensation_manager import CompensationManager
    from engine.event_store.aggregate import Aggregate
    from engine.event_store.events import Event
    from engine.event_store.store import Append, EventStore
    from engine.event_store.upcasters import register_upcaster
    from engine.functions import flow_function
    from engine.inbox import publish_event
    from engine.operations import cancel, pause, resume, retry
    from engine.patience import Retry
    from engine.projections.manager import ProjectionManager
    from engine.projections.projection import Projection
    from engine.saga_context import current_saga_id, current_step
    from engine.sagas.builder import Saga, SagaStep
    from engine.sagas.controls import (
        cancel_saga,
        cancel_saga_sync,
        get_saga_status,
        get_saga_status_sync,
        resume_saga,
        resume_saga_sync,
    )
    from engine.sagas.registry import saga
    from engine.sagas.starting import start_saga, start_saga_sync
    from engine.sagas.workflow_engine import WorkflowEngine
    from engine.schedules import register_audience
    from engine.snapshots.manager import SnapshotManager
    from engine.state_machine import StateMachine
    from engine.triggers import start, start_many
    from engine.twins import acancel, apause, apublish_event, aresume, aretry, astart
    from engine.workflow_scheduler import WorkflowScheduler, current_task_key
    from engine.workflow_state import WorkflowState

__all__ = [
    "Aggregate",
    "Append",
    "CompensationManager",
    "Event",
    "EventBus",
    "EventStore",
    "Projection",
    "ProjectionManager",
    "Retry",
    "Saga",
    "SagaStep",
    "SnapshotManager",
    "StateMachine",
    "WorkflowEngine",
    "WorkflowScheduler",
    "WorkflowState",
    "acancel",
    "acompensate",
    "apause",
    "apublish_event",
    "aresume",
    "aretry",
    "astart",
    "cancel",
    "cancel_saga",
    "cancel_saga_sync",
    "compensate",
    "current_saga_id",
    "current_step",
    "current_task_key",
    "flow_function",
    "get_saga_status",
    "get_saga_status_sync",
    "pause",
    "publish_event",
    "register_audience",
    "register_upcaster",
    "resume",
    "resume_saga",
    "resume_saga_sync",
    "retry",
    "saga",
    "start",
    "start_many",
    "start_saga",
    "start_saga_sync",
]

_HOMES = {
    "engine.compensation.verbs": ("acompensate", "compensate"),
    "engine.compensation_manager": ("CompensationManager",),
    "engine.bus.event_bus": ("EventBus",),
    "engine.event_store.aggregate": ("Aggregate",),
    "engine.event_store.events": ("Event",),
    "engine.event_store.store": ("Append", "EventStore"),
    "engine.event_store.upcasters": ("register_upcaster",),
    "engine.state_machine": ("StateMachine",),
    "engine.workflow_scheduler": ("WorkflowScheduler", "current_task_key"),
    "engine.workflow_state": ("WorkflowState",),
    "engine.functions": ("flow_function",),
    "engine.inbox": ("publish_event",),
    "engine.operations": ("cancel", "pause", "resume", "retry"),
    "engine.patience": ("Retry",),
    "engine.projections.manager": ("ProjectionManager",),
    "engine.projections.projection": ("Projection",),
    "engine.saga_context": ("current_saga_id", "current_step"),
    "engine.sagas.builder": ("Saga", "SagaStep"),
    "engine.sagas.controls": (
        "cancel_saga",
        "cancel_saga_sync",
        "get_saga_status",
        "get_saga_status_sync",
        "resume_saga",
        "resume_saga_sync",
    ),
    "engine.sagas.registry": ("saga",),
    "engine.sagas.starting": ("start_saga", "start_saga_sync"),
    "engine.sagas.workflow_engine": ("WorkflowEngine",),
    "engine.schedules": ("register_audience",),
    "engine.snapshots.manager": ("SnapshotManager",),
    "engine.triggers": ("start", "start_many"),
    "engine.twins": ("acancel", "apause", "apublish_event", "aresume", "aretry", "astart"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
