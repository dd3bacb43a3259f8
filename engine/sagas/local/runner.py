"""
One saga on its caller's loop: calls what it is ordered to call, and tells what became of it.

It decides nothing and writes nothing. Asynchronous callables are tasks, which can be stopped; the others run in
threads, which can only be awaited. A call's outcome is told whatever the callable raises, and whoever cancels it.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from engine import callables, values
from engine.saga_context import current_saga_id, current_step
from engine.sagas.local.news import (
    Again,
    Call,
    Cancel,
    Finish,
    Key,
    Look,
    News,
    NotCalled,
    Order,
    Outcome,
    Overdue,
    Pause,
    Stop,
)
from engine.sagas.local.threads import threads

log = structlog.get_logger(__name__)

TIMED_OUT: Final = "timed out"
STOPPED: Final = "stopped"


class StepTimedOut(TimeoutError):
    """A step used up its time; whether it happened is not known."""


@dataclass(slots=True)
class _Running:
    """A call that was made; `asked` says why it was asked to stop, if it was."""

    call: Call
    task: asyncio.Task[Outcome] | None = None
    timer: asyncio.TimerHandle | None = None
    asked: str = ""


@dataclass(slots=True)
class Runner:
    """
    The loop's side of one saga; every method but the constructor is for that loop's thread.

    `tell` takes news to the journal. `may_call_until` is the monotonic moment at which the lease ends, as far as this
    process knows: after it nothing is called before the journal has made sure of the lease. `ended` is for the loop,
    `over` for whoever waits elsewhere.
    """

    saga_id: str
    tell: Callable[[News], None]
    may_call_until: Callable[[], float]
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    context: Context = field(default_factory=copy_context)
    ended: asyncio.Future[list[Any]] = field(init=False)
    over: Future[None] = field(default_factory=Future)
    _running: dict[Key, _Running] = field(default_factory=dict)
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the promise of an end."""
        self.ended = self.loop.create_future()
        self.context.run(current_saga_id.set, self.saga_id)

    async def wait(self) -> list[Any]:
        """
        Wait for the end of the saga, whoever cancels the waiter: its cancellation cancels the saga.

        The cancellation is raised when everything that had to be undone is.
        """
        cancelled = None
        while not self.ended.done():
            try:
                await asyncio.wait((self.ended,))
            except asyncio.CancelledError as cancel:
                cancelled = cancel
                self.tell(Cancel("The caller of execute_saga was cancelled.", "process"))
        if cancelled is None:
            return self.ended.result()
        # Looked at, so that asyncio does not complain that nobody did.
        error = self.ended.exception()
        raise cancelled from error

    def look_in(self, seconds: float) -> None:
        """Have the journal look at the saga when so many seconds have passed."""
        self._timers.append(self.loop.call_later(seconds, self.tell, Look()))

    def obey(self, orders: Sequence[Order]) -> None:
        """Carry out what the journal ordered."""
        for order in orders:
            match order:
                case Call():
                    self._call(order)
                case Pause():
                    timer = self.loop.call_later(order.seconds, self.tell, Again(order.key))
                    self._timers.append(timer)
                case Stop():
                    self._stop(order)
                case Finish():
                    self._finish(order)

    def _call(self, call: Call) -> None:
        if time.monotonic() >= self.may_call_until():
            self.tell(NotCalled(call.key))
            return
        running = self._running[call.key] = _Running(call)
        if callables.is_async(call.function):
            self._start(running, _called(call))
        elif not self._start_thread(running):
            return
        if call.timeout_s is not None:
            running.timer = self.loop.call_later(call.timeout_s, self._time_out, running)

    # A process may have no thread left to give; the call has not happened then.
    def _start_thread(self, running: _Running) -> bool:
        context = self.context.copy()
        try:
            threads.run(lambda: context.run(self._in_thread, running))
        except RuntimeError as error:
            self._end(running, _failure(running.call, error))
            return False
        return True

    def _start(self, running: _Running, coroutine: Any) -> None:
        running.task = self.loop.create_task(
            coroutine, name=running.call.step.idempotency_key, context=self.context.copy()
        )
        running.task.add_done_callback(lambda task: self._end(running, _outcome_of(task, running)))

    # In the thread of a callable that is not asynchronous.
    def _in_thread(self, running: _Running) -> None:
        call = running.call
        current_step.set(call.step)
        try:
            answer = call.function(*call.args, **call.kwargs)
            outcome = answer if inspect.isawaitable(answer) else _success(call, answer)
        except BaseException as error:  # noqa: BLE001  # whatever it raises is its outcome
            outcome = _failure(call, error)
        try:
            self.loop.call_soon_threadsafe(self._returned, running, outcome)
        except RuntimeError:
            # Its loop is closed. The saga is carried on elsewhere when the lease has run out.
            log.warning("saga.outcome_lost", saga_id=self.saga_id, step=call.step.step)

    def _returned(self, running: _Running, outcome: Any) -> None:
        if isinstance(outcome, Outcome):
            self._end(running, outcome)
        elif running.asked:
            # What would be awaited now was asked to stop before that.
            if inspect.iscoroutine(outcome):
                outcome.close()
            self._end(running, _failure(running.call, asyncio.CancelledError("It was stopped.")))
        else:
            self._start(running, _awaited(running.call, outcome))

    def _end(self, running: _Running, outcome: Outcome) -> None:
        if running.timer is not None:
            running.timer.cancel()
        del self._running[running.call.key]
        self.tell(outcome)

    def _time_out(self, running: _Running) -> None:
        call = running.call
        running.timer = None
        if running.task is not None:
            running.asked = running.asked or TIMED_OUT
            running.task.cancel()
            return
        log.warning("saga.step_overdue", saga_id=self.saga_id, step=call.step.step, timeout_s=call.timeout_s)
        if not call.undoing:
            self.tell(Overdue(call.step.step, call.step.attempt))

    def _stop(self, order: Stop) -> None:
        for running in list(self._running.values()):
            if order.everything or not running.call.undoing:
                running.asked = running.asked or STOPPED
                if running.task is not None:
                    running.task.cancel()

    def _finish(self, order: Finish) -> None:
        for timer in self._timers:
            timer.cancel()
        self.over.set_result(None)
        if self.ended.done():
            return
        if order.error is None:
            self.ended.set_result(order.results)
        else:
            self.ended.set_exception(order.error)


async def _called(call: Call) -> Outcome:
    current_step.set(call.step)
    try:
        return _success(call, await call.function(*call.args, **call.kwargs))
    except BaseException as error:  # noqa: BLE001  # whatever it raises is its outcome; a stray SystemExit would end the loop
        return _failure(call, error)


async def _awaited(call: Call, answer: Any) -> Outcome:
    current_step.set(call.step)
    try:
        return _success(call, await answer)
    except BaseException as error:  # noqa: BLE001  # as above
        return _failure(call, error)


def _success(call: Call, answer: Any) -> Outcome:
    try:
        return Outcome(call.step.step, call.step.attempt, call.undoing, values.kept(answer))
    except values.NotJson as error:
        # It happened, and would happen again.
        return Outcome(call.step.step, call.step.attempt, call.undoing, error=error, unknown=True, hopeless=True)


# A cancellation, whoever threw it, strikes in the middle; another error is the callable's word that nothing happened.
def _failure(call: Call, error: BaseException) -> Outcome:
    unknown = isinstance(error, asyncio.CancelledError | GeneratorExit)
    return Outcome(call.step.step, call.step.attempt, call.undoing, error=error, unknown=unknown)


# A task that was cancelled before its first step has no outcome of its own: it never began.
def _outcome_of(task: asyncio.Task[Outcome], running: _Running) -> Outcome:
    call = running.call
    if task.cancelled():
        never = asyncio.CancelledError("It was cancelled before it began.")
        return Outcome(call.step.step, call.step.attempt, call.undoing, error=never)
    outcome = task.result()
    if outcome.error is None or not running.asked:
        return outcome
    # It was interrupted, whatever it then raised.
    error: BaseException = outcome.error
    if running.asked == TIMED_OUT:
        error = StepTimedOut(f"{outcome.step} took longer than {call.timeout_s} s.")
        error.__cause__ = outcome.error
    return replace(outcome, error=error, unknown=True)
