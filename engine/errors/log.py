"""What is refused of the log, and of what is built on it: aggregates, handlers, projections, snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors.base import EngineError

if TYPE_CHECKING:
    from engine.event_store.events import Event


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
