"""
Closures: called in the process that subscribed them, in the background, after commit.

A handler's events of one aggregate are called one after the other; a failing one is tried again, then counted and
logged as a dead letter. Nothing here is durable: what the process has not called when it ends is gone.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakSet

import structlog

from engine import bridge
from engine.bus import context, messages
from engine.bus.background import background
from engine.bus.handlers import Handler
from engine.bus.subscriptions import Subscription, Subscriptions
from engine.event_store.events import Event

logger = structlog.get_logger(__name__)

Loop = asyncio.AbstractEventLoop

# What is under way when the process ends gets so long.
LAST_MOMENT_S: Final = 5.0

# Synchronous closures have threads of their own: a slow one keeps no public method waiting.
hands: Final = bridge.Pool("kalcifer-handlers", threads=16)


@dataclass(eq=False, slots=True)
class Lane:
    """What one handler has yet to be told of one aggregate, and the loop it is told on."""

    key: Hashable
    subscription: Subscription
    loop: Loop
    events: deque[Event] = field(default_factory=deque)
    is_told: bool = False


class Closures:
    """The closures of one bus. Any thread may hand events in."""

    def __init__(self) -> None:
        self.subscriptions = Subscriptions()
        self.dead_letters = 0
        self._homes: dict[Subscription, Loop] = {}
        self._lanes: dict[Hashable, Lane] = {}
        self._guard = threading.Lock()
        self._idle: list[Callable[[], None]] = []
        _everybody.add(self)

    def add(self, wanted: Subscription) -> None:
        """Subscribe; a loop that runs here is where the closure is called when its event comes from elsewhere."""
        self.subscriptions.add(wanted)
        if (loop := _running_loop()) is not None:
            self._homes[wanted] = loop

    def remove(self, pattern: str, handler: Handler) -> bool:
        """End a subscription; tell whether there was one."""
        removed = self.subscriptions.remove(pattern, handler)
        if removed is not None:
            self._homes.pop(removed, None)
        return removed is not None

    def hand_in(self, events: Sequence[Event], publisher: Loop | None) -> None:
        """Have the events told, on the publisher's loop if it has one."""
        for event in events:
            for subscription in self.subscriptions.wanting(event):
                self._queue(subscription, messages.copy(event), publisher)

    @property
    def lanes(self) -> int:
        """How many aggregates and handlers something is under way for."""
        return len(self._lanes)

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call once nothing is under way, at once if that is so."""
        with self._guard:
            if self._lanes:
                self._idle.append(call)
                return
        call()

    def _queue(self, subscription: Subscription, event: Event, publisher: Loop | None) -> None:
        # What belongs to no aggregate waits for nothing.
        key = (subscription, event.aggregate_type, event.aggregate_id) if event.aggregate_id else object()
        with self._guard:
            lane = self._lanes.get(key)
            if lane is not None and not lane.loop.is_closed():
                lane.events.append(event)
                return
            loop = next((each for each in (publisher, self._homes.get(subscription)) if _is_alive(each)), None)
            before = lane.events if lane is not None else ()
            lane = self._lanes[key] = Lane(key, subscription, loop or background.loop, deque((*before, event)))
        self._start(lane)

    # A loop may end between the look and the call.
    def _start(self, lane: Lane) -> None:
        try:
            lane.loop.call_soon_threadsafe(lambda: _keep(asyncio.ensure_future(self._run(lane))))
        except RuntimeError:
            lane.loop = background.loop
            lane.loop.call_soon_threadsafe(lambda: _keep(asyncio.ensure_future(self._run(lane))))

    async def _run(self, lane: Lane) -> None:
        while True:
            lane.is_told = False
            try:
                await self._tell(lane)
            except asyncio.CancelledError:
                # The loop ends, and another one goes on; what the handler had not finished is begun again there.
                if not lane.is_told or self._has_more(lane):
                    lane.loop = background.loop
                    self._start(lane)
                raise
            if not self._has_more(lane):
                return

    # The lane goes with its last event, under the lock: whoever comes later makes a new one.
    def _has_more(self, lane: Lane) -> bool:
        with self._guard:
            lane.events.popleft()
            if lane.events:
                return True
            self._lanes.pop(lane.key, None)
            waiting, self._idle = ([], self._idle) if self._lanes else (self._idle, [])
        for call in waiting:
            call()
        return False

    async def _tell(self, lane: Lane) -> None:
        retry, event, attempt = lane.subscription.retry, lane.events[0], 0
        while True:
            attempt += 1
            failure = await _attempt(lane, messages.copy(event))
            if failure is None:
                return
            if not retry.is_worth_it(attempt, failure):
                break
            await asyncio.sleep(retry.pause_after(attempt))
        with self._guard:
            self.dead_letters += 1
        context.context_of(event).run(_report, lane.subscription, event, attempt, failure)


_everybody: WeakSet[Closures] = WeakSet()


# A program may end with the loop that its closures ran on; they went on in the background then.
@atexit.register
def _wait_for_the_last() -> None:
    until = time.monotonic() + LAST_MOMENT_S
    for closures in list(_everybody):
        done = threading.Event()
        closures.when_idle(done.set)
        if not done.wait(max(0.0, until - time.monotonic())):
            logger.error("bus.left_untold", lanes=closures.lanes)


# Strong references: a loop has weak ones only.
_tasks: set[asyncio.Future[None]] = set()


def _keep(task: asyncio.Future[None]) -> None:
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


# Gives what the handler raised. Its own cancellation is such an error, the cancellation of this task is not.
async def _attempt(lane: Lane, event: Event) -> BaseException | None:
    task = asyncio.get_running_loop().create_task(_call(lane, event), context=context.context_of(event))
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        # A thread cannot be stopped: whether the handler comes to its end is known when it has.
        task.cancel()
        await asyncio.wait((task,))
        raise
    return asyncio.CancelledError("The handler was cancelled.") if task.cancelled() else task.result()


# An exit that is raised inside a task would end the loop, and with it whatever else runs there.
async def _call(lane: Lane, event: Event) -> BaseException | None:
    handler, timeout_s = lane.subscription.handler, lane.subscription.timeout
    try:
        if inspect.iscoroutinefunction(handler):
            await _in_time(handler(event), timeout_s)
        else:
            await _off_the_loop(lane, handler, event, timeout_s)
    except asyncio.CancelledError:
        raise
    except BaseException as failure:  # noqa: BLE001 - whatever a handler raises is its own failure
        return failure
    lane.is_told = True
    return None


async def _in_time(answer: Awaitable[Any], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        await answer


async def _off_the_loop(lane: Lane, handler: Callable[[Event], Any], event: Event, timeout_s: float) -> None:
    def call() -> Any:
        answer = handler(event)
        lane.is_told = not inspect.isawaitable(answer)
        return answer

    # Once the main thread has ended no pool takes work any more, and nobody else uses this loop.
    answer = await hands.call(call) if threading.main_thread().is_alive() else call()
    if not lane.is_told:
        await _in_time(answer, timeout_s)


def _report(subscription: Subscription, event: Event, attempts: int, failure: BaseException) -> None:
    logger.error(
        "bus.dead_letter",
        handler=getattr(subscription.handler, "__qualname__", repr(subscription.handler)),
        event_type=event.type,
        aggregate=event.aggregate_id,
        attempts=attempts,
        exc_info=failure,
    )


def _running_loop() -> Loop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_alive(loop: Loop | None) -> bool:
    return loop is not None and loop.is_running()
