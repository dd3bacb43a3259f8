"""
What can be refused when a flow runs.

EngineError
├── UnknownFlow
├── UnknownInstance
├── UnknownActivity
├── UnknownSchedule
├── UnknownScheduledWork
├── UnknownJob
├── UnknownAggregate
├── UnknownFold
├── UnreadableLog
├── InvalidMoment
├── EntryRefused
│   ├── FlowNotActive
│   ├── AlreadyInFlow
│   └── ReentryRefused
├── AmbiguousEntryNode
├── UnknownEntryNode
├── MissingCorrelationKey
├── InvalidCorrelationKey
├── InvalidEvent
├── InvalidAggregate
├── AggregateTaken
├── ConcurrencyConflict
├── UpcastFailed
├── UnfoldedEvent
├── InvalidSubscription
├── InvalidRetry
├── InvalidTenant
├── InvalidSchedule
├── InvalidSignature
├── NothingChosen
├── ProjectionError
│   ├── InvalidProjection
│   ├── UnknownProjection
│   ├── NotRebuildable
│   ├── ProjectionNotStopped
│   └── ProjectionStopped
├── InvalidSaga
│   ├── DuplicateStep
│   ├── UnknownStep
│   ├── StepCycle
│   ├── NotCallable
│   └── PivotConflict
├── SagaChanged
├── UnknownSaga
├── UnknownDefinition
├── InvalidSagaInput
├── SagaExists
├── SagaFinished
├── SagaRunning
├── SagaEnding
├── SagaNotStuck
├── SagaNotRecoverable
└── SagaStopped
    ├── SagaFailed
    ├── SagaTimedOut
    ├── SagaCancelled
    └── SagaTakenOver
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenants.errors import KalciferError

if TYPE_CHECKING:
    from engine.event_store.events import Event


class EngineError(KalciferError):
    """Base of every error the engine raises on purpose."""

    code = "engine_error"


class UnknownFlow(EngineError):
    """There is no such flow."""

    code = "not_found"


class UnknownInstance(EngineError):
    """There is no such instance."""

    code = "not_found"


class UnknownActivity(EngineError):
    """There is no such activity."""

    code = "not_found"


class UnknownSchedule(EngineError):
    """There is no such schedule."""

    code = "not_found"


class UnknownScheduledWork(EngineError):
    """Nothing was scheduled under this id."""

    code = "not_found"


class UnknownJob(EngineError):
    """There is no such job."""

    code = "not_found"


class EntryRefused(EngineError):
    """The participant may not enter the flow now."""

    code = "entry_refused"


class FlowNotActive(EntryRefused):
    """The flow takes no entries: only an active flow does. Activate or resume it."""

    code = "flow_not_active"


class AlreadyInFlow(EntryRefused):
    """The participant has an unfinished run of this flow."""

    code = "already_in_flow"


class ReentryRefused(EntryRefused):
    """The flow's re-entry policy does not let this participant in again (yet)."""

    code = "reentry_policy"


class AmbiguousEntryNode(EngineError):
    """The flow has several entry nodes; name one in entry_node."""

    code = "ambiguous_entry_node"


class UnknownEntryNode(EngineError):
    """The flow has no entry node of this name."""

    code = "unknown_entry_node"


class MissingCorrelationKey(EngineError):
    """The flow allows one run per key, and none was given: send correlation_key, or the field its settings name."""

    code = "missing_correlation_key"


class InvalidCorrelationKey(EngineError):
    """A correlation key has at most 255 characters."""

    code = "invalid_correlation_key"


class InvalidEvent(EngineError):
    """The event cannot be taken as it is."""

    code = "invalid_event"


class InvalidAggregate(EngineError):
    """An aggregate is a type and an id: ("account", a UUID or a name)."""

    code = "invalid_aggregate"


class AggregateTaken(EngineError):
    """The id belongs to another aggregate already; an id is used once, whatever the type."""

    code = "aggregate_taken"


class ConcurrencyConflict(EngineError):
    """Somebody else has appended to the aggregate meanwhile; read it again and decide anew."""

    code = "concurrency_conflict"

    def __init__(self, aggregate: object, expected: int, actual: int) -> None:
        """Keep both numbers: after which event this was to be appended, and which the last one is."""
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"{aggregate} is at event {actual} and not at {expected}; read it again and decide anew.",
            extra={"expected": expected, "actual": actual},
        )


class UpcastFailed(EngineError):
    """An old event cannot be brought to its newest shape."""

    code = "upcast_failed"
    internal = True

    def __init__(self, event: Event, reason: str) -> None:
        """Name the event; it is kept as far as it came."""
        self.event = event
        super().__init__(
            f"The event {event.type!r} in version {event.schema_version} ({event.aggregate_type} "
            f"{event.aggregate_id}, event {event.sequence}) cannot be read: {reason}."
        )


class UnfoldedEvent(EngineError):
    """An aggregate does not say what an event does to its state."""

    code = "unfolded_event"
    internal = True


class InvalidSubscription(EngineError):
    """Nothing can be subscribed or published like this."""

    code = "invalid_subscription"
    internal = True


class InvalidRetry(EngineError):
    """Attempts cannot follow each other like this."""

    code = "invalid_retry"


class InvalidTenant(EngineError):
    """A tenant is given as a Tenant or its id."""

    code = "invalid_tenant"
    internal = True


class InvalidSchedule(EngineError):
    """The schedule does not say when to start."""

    code = "invalid_schedule"


class InvalidSignature(EngineError):
    """The signature does not fit the body, or is too old."""

    code = "invalid_signature"


class NothingChosen(EngineError):
    """Name ids or at least one filter: an act on everything must be asked for by a filter."""

    code = "nothing_chosen"


class InvalidSaga(EngineError):
    """The steps do not make a saga."""

    code = "invalid_saga"


class DuplicateStep(InvalidSaga):
    """Two steps of a saga have the same name."""

    code = "duplicate_step"


class UnknownStep(InvalidSaga):
    """A step comes after one that the saga does not have."""

    code = "unknown_step"


class StepCycle(InvalidSaga):
    """Steps wait for each other in a circle."""

    code = "step_cycle"


class NotCallable(InvalidSaga):
    """An action or a compensation cannot be called."""

    code = "not_callable"


class PivotConflict(InvalidSaga):
    """A saga has one point of no return at most."""

    code = "pivot_conflict"


class SagaChanged(EngineError):
    """The saga's steps are not those it was begun with: give it another id, or its old steps."""

    code = "saga_changed"


class UnknownSaga(EngineError):
    """There is no such saga."""

    code = "not_found"


class UnknownDefinition(EngineError):
    """No saga is defined under this name."""

    code = "unknown_definition"


class InvalidSagaInput(EngineError):
    """The input is not what the saga's definition asks for."""

    code = "invalid_input"


class SagaExists(EngineError):
    """There is a saga of this id already; an id is used once."""

    code = "saga_exists"


class SagaFinished(EngineError):
    """The saga is over."""

    code = "saga_finished"


class SagaRunning(EngineError):
    """Somebody carries the saga on already."""

    code = "saga_running"


class SagaEnding(EngineError):
    """The saga is being ended already."""

    code = "saga_ending"


class SagaNotStuck(EngineError):
    """Only a saga that is stuck (FAILED) can be resumed."""

    code = "saga_not_stuck"


class SagaNotRecoverable(EngineError):
    """No worker can go on with the saga: its steps live in the process that registered it."""

    code = "saga_not_recoverable"


class SagaStopped(EngineError):
    """
    The saga did not complete.

    What had to be undone was undone before this is raised, unless the saga is stuck: its status says what is left.
    """

    code = "saga_stopped"
    internal = True


class SagaFailed(SagaStopped):
    """A step failed for good; its error is the cause of this one."""

    code = "saga_failed"
    internal = True


class SagaTimedOut(SagaStopped):
    """The saga took longer than it was given."""

    code = "saga_timed_out"
    internal = True


class SagaCancelled(SagaStopped):
    """The saga was cancelled."""

    code = "saga_cancelled"
    internal = True


class SagaTakenOver(SagaStopped):
    """This process was away for longer than its lease, and another one carries the saga on; nothing more was called."""

    code = "saga_taken_over"
    internal = True


class UnknownAggregate(EngineError):
    """There is no such aggregate: nothing is recorded of it."""

    code = "not_found"


class UnknownFold(EngineError):
    """No fold is registered for this type of aggregate."""

    code = "unknown_fold"
    internal = True


class UnreadableLog(EngineError):
    """
    An event of the log has no place in it, so the state after it cannot be told.

    `sequence` is that event's.
    """

    code = "unreadable_log"

    def __init__(self, detail: str, *, sequence: int) -> None:
        super().__init__(detail, extra={"sequence": sequence})
        self.sequence = sequence


class InvalidMoment(EngineError):
    """`at` is the number of an event of the log, or a time (ISO 8601) at which there was one."""

    code = "invalid_moment"


class ProjectionError(EngineError):
    """A projection cannot do what it was asked for; no client of the REST API meets it."""

    code = "projection_error"
    internal = True


class InvalidProjection(ProjectionError):
    """The projection cannot be registered as it is."""

    code = "invalid_projection"


class UnknownProjection(ProjectionError):
    """No projection of this process has this name."""

    code = "unknown_projection"


class NotRebuildable(ProjectionError):
    """The projection does not say how its read model is emptied."""

    code = "not_rebuildable"


class ProjectionNotStopped(ProjectionError):
    """No event has stopped the projection: there is nothing to retry or to skip."""

    code = "projection_not_stopped"


class ProjectionStopped(ProjectionError):
    """An event cannot be projected, and the rebuild waits there."""

    code = "projection_stopped"
