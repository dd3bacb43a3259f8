"""Sagas, flows and tasks that begin later: promises in PostgreSQL, kept once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from engine import bridge, tenancy
from engine.patience import Retry
from engine.workflow_scheduler import form, promises
from engine.workflow_scheduler.form import Moment
from engine.workflow_scheduler.tasks import current_task_key
from flows.models import Flow
from tenants.models import Tenant

__all__ = ["WorkflowScheduler", "current_task_key"]

JSON = dict[str, Any]
Delay = timedelta | float | None


class WorkflowScheduler:
    """
    Begins something after a delay, or at a moment of engine time.

    Each `schedule_…` writes its promise in the caller's transaction where there is one (the asynchronous ones commit
    before they return) and gives an id to track and to cancel it by. What comes due is begun once, by whichever worker
    or sweep finds it; what cannot be begun is `failed` with its reason and keeps nobody else from their turn. An id of
    another tenant is unknown.
    """

    def __init__(self, tenant: Tenant | UUID | str | None = None) -> None:
        """Schedule for this tenant; without one, for the tenant `default`."""
        self._tenant = tenancy.key_of(tenant)

    def schedule_saga_sync(
        self,
        definition: str,
        saga_id: str,
        input: Any = None,  # noqa: A002 - as its users say it
        *,
        delay: Delay = None,
        at: datetime | None = None,
    ) -> UUID:
        """Start the saga of this registered definition later, under this id."""
        payload = form.saga(definition, saga_id, input)
        return promises.make(self._key, "saga", payload, Moment(delay, at))

    def schedule_flow_sync(  # noqa: PLR0913  # one keyword for each thing that can be said of a start
        self,
        flow: Flow | UUID | str,
        participant_id: str,
        context: Mapping[str, Any] | None = None,
        *,
        entry_node: str | None = None,
        correlation_key: str | None = None,
        delay: Delay = None,
        at: datetime | None = None,
    ) -> UUID:
        """Start the flow for this participant later, with the version that is active then."""
        payload = form.flow(flow, participant_id, context, entry_node, correlation_key)
        promises.check_flow(self._key, payload["flow_id"])
        return promises.make(self._key, "flow", payload, Moment(delay, at))

    def schedule_task_sync(  # noqa: PLR0913  # one keyword for each thing that can be said of a call
        self,
        task: Callable[..., Any] | str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        delay: Delay = None,
        at: datetime | None = None,
        retry: Retry | None = None,
        timeout: float = 300.0,
    ) -> UUID:
        """
        Call a function later, on an activity worker: one that can be imported, or its `module:name`.

        It is called at least once, each time with the same `current_task_key`; what stays failing is parked.
        """
        payload = form.task(task, args, kwargs, retry, timeout)
        return promises.make(self._key, "task", payload, Moment(delay, at))

    def get_sync(self, id: UUID | str) -> JSON:  # noqa: A002 - as its users say it
        """
        Give `{id, kind, state, due_at, result, error}`; UnknownScheduledWork where there is none.

        `state` is `scheduled`, `started`, `cancelled` or `failed`; `result` names what was begun, and has what a task
        has come to.
        """
        return promises.get(self._key, id)

    def cancel_sync(self, id: UUID | str) -> JSON:  # noqa: A002 - as its users say it
        """Take a promise back; IllegalTransition once it has begun, has failed or was cancelled."""
        return promises.cancel(self._key, id)

    schedule_saga = bridge.twin(schedule_saga_sync)
    schedule_flow = bridge.twin(schedule_flow_sync)
    schedule_task = bridge.twin(schedule_task_sync)
    get = bridge.twin(get_sync)
    cancel = bridge.twin(cancel_sync)

    @property
    def _key(self) -> str:
        return tenancy.id_of(self._tenant)
