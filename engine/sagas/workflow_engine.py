"""The public face of sagas: register them, execute them here, start them on the workers, look, cancel, resume."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar
from uuid import UUID

from engine import bridge, tenancy
from engine.bus import EventBus
from engine.errors import InvalidSaga, SagaEnding, SagaFinished, SagaStopped, UnknownSaga
from engine.execution.write import new_id
from engine.saga_context import current_saga_id
from engine.sagas import controls, starting, status
from engine.sagas.builder import Saga
from engine.sagas.local.declared import Declared
from engine.sagas.local.journal import journal
from engine.sagas.local.news import Abandoned, Cancel, Look, News
from engine.sagas.local.pilot import Pilot
from engine.sagas.local.runner import Runner
from engine.sagas.state import SagaState, new_step
from engine.workflow_state import WorkflowState
from tenants.models import Tenant

JSON = dict[str, Any]
Result = TypeVar("Result")

# A look at the deadline comes a little late rather than early.
AFTER_DEADLINE_S: Final = 0.002


class WorkflowEngine:
    """
    Runs the sagas of a tenant; without one, those of the tenant `default`.

    What is registered can be executed by this process: `execute_saga` calls the steps on the caller's loop and in
    threads, and records each before and after. `start_saga` has workers do it. Every method that awaits has a `…_sync`
    twin for callers without a loop.
    """

    def __init__(self, tenant: Tenant | UUID | str | None = None) -> None:
        self._tenant = tenancy.key_of(tenant)
        self._sagas: dict[str, Saga] = {}
        self._pilots: dict[str, Pilot] = {}

    def register_saga(self, saga: Saga) -> None:
        """
        Let a saga be executed; raise InvalidSaga when its steps do not make one.

        An id that is registered again stands for the later saga, from its next execution on.
        """
        if not isinstance(saga, Saga):
            raise InvalidSaga(f"A Saga is registered, not {type(saga).__name__}.")
        if saga.event_bus is not None and not isinstance(saga.event_bus, EventBus):
            raise InvalidSaga(f"A saga is told on an EventBus, not {type(saga.event_bus).__name__}.", attr="event_bus")
        saga.check()
        self._sagas[saga.saga_id] = saga

    async def execute_saga(self, saga_id: str, timeout: float | None = None) -> list[Any]:  # noqa: ASYNC109 - undone, not abandoned
        """
        Run a registered saga to its end in this process; give the results in the order of its steps.

        A saga that another process left unfinished is gone on with from its log. Raises SagaFailed, SagaTimedOut (after
        `timeout` seconds) or SagaCancelled once everything is undone, SagaFinished for one that is over, SagaRunning
        for one that somebody executes. Cancelling this call cancels the saga; the cancellation is raised once
        everything is undone.
        """
        if timeout is not None and not _is_seconds(timeout):
            raise InvalidSaga("timeout is a number of seconds above 0.", attr="timeout")
        return await self._run(saga_id, timeout, Look())

    def execute_saga_sync(self, saga_id: str, timeout: float | None = None) -> list[Any]:
        """Run a registered saga to its end, on a loop of its own; see `execute_saga`."""
        return _alone(self.execute_saga, saga_id, timeout)

    async def cancel_saga(self, saga_id: str, reason: str = "") -> JSON:
        """
        End a saga and undo what it did; give its status.

        One that this engine executes has been undone when this returns, unless the caller is one of its own steps; one
        that runs elsewhere goes on ending. Raises UnknownSaga, SagaFinished, SagaEnding.
        """
        pilot = self._pilots.get(saga_id)
        if pilot is not None:
            heard: Future[None] = Future()
            journal.tell(pilot, Cancel(reason, "process", heard))
            await asyncio.wrap_future(heard)
            if current_saga_id.get() != saga_id:
                await asyncio.wrap_future(pilot.runner.over)
                if (found := await self.get_saga_status(saga_id))["state"] == WorkflowState.COMPLETED:
                    raise SagaFinished("Its last step was completed before it could be stopped.")
                return found
        else:
            try:
                return await controls.cancel_saga(saga_id, tenant=self._tenant or None, reason=reason, actor="process")
            except UnknownSaga:
                await self._cancel_unbegun(saga_id, reason)
        return await self.get_saga_status(saga_id)

    def cancel_saga_sync(self, saga_id: str, reason: str = "") -> JSON:
        """End a saga and undo what it did; see `cancel_saga`."""
        return _alone(self.cancel_saga, saga_id, reason)

    def get_saga_status_sync(self, saga_id: str) -> JSON:
        """Give `{saga_id, state, steps_completed, …}`; one that is only registered is PENDING. Raises UnknownSaga."""
        try:
            return controls.get_saga_status_sync(saga_id, tenant=self._tenant or None)
        except UnknownSaga:
            if saga_id not in self._sagas:
                raise
            plan = self._sagas[saga_id].as_plan()
            steps = [new_step(each["name"]) for each in plan]
            return status.of(SagaState("", name=saga_id, runs_in="process", plan=plan, steps=steps))

    get_saga_status = bridge.twin(get_saga_status_sync)

    def start_saga_sync(
        self,
        definition: str | Saga,
        saga_id: str,
        input: Any = None,  # noqa: A002 - as its users say it
        *,
        timeout: float | None = None,
    ) -> JSON:
        """Start a saga on the workers, with the caller's transaction where there is one; give its status."""
        return starting.start_saga_sync(definition, saga_id, input, tenant=self._tenant or None, timeout=timeout)

    start_saga = bridge.twin(start_saga_sync)

    def resume_saga_sync(self, saga_id: str) -> JSON:
        """Have a saga that is stuck go on, on the workers; give its status. Raises SagaNotStuck."""
        return controls.resume_saga_sync(saga_id, tenant=self._tenant or None, actor="process")

    resume_saga = bridge.twin(resume_saga_sync)

    async def _run(self, saga_id: str, timeout: float | None, first: News) -> list[Any]:  # noqa: ASYNC109 - as above
        saga = self._sagas.get(saga_id)
        if saga is None:
            raise UnknownSaga(f"No saga {saga_id!r} is registered with this engine.", attr="saga_id")
        pilot = _pilot(Declared.of(saga, self._tenant), timeout)
        self._pilots.setdefault(saga_id, pilot)
        journal.tell(pilot, first)
        try:
            return await pilot.runner.wait()
        finally:
            if not pilot.runner.ended.done():
                journal.tell(pilot, Abandoned())
            if self._pilots.get(saga_id) is pilot:
                del self._pilots[saga_id]

    # What has no row yet gets one, and ends at once: there is nothing to undo.
    async def _cancel_unbegun(self, saga_id: str, reason: str) -> None:
        try:
            await self._run(saga_id, None, Cancel(reason, "process"))
        except SagaStopped:
            return
        raise SagaEnding


def _pilot(declared: Declared, timeout: float | None) -> Pilot:
    def tell(news: News) -> None:
        journal.tell(pilot, news)

    runner = Runner(declared.saga_id, tell, lambda: pilot.may_call_until)
    pilot = Pilot(declared, runner, new_id(), journal.leases.holder, timeout)
    if timeout is not None:
        runner.look_in(timeout + AFTER_DEADLINE_S)
    return pilot


def _alone(method: Callable[..., Coroutine[Any, Any, Result]], *args: Any) -> Result:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(method(*args))
    raise RuntimeError(f"{method.__name__}_sync would hold up the loop that runs here: await {method.__name__}().")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
