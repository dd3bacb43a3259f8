"""What is refused of sagas, and how those end that do not complete."""

from __future__ import annotations

from engine.errors.base import EngineError


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
