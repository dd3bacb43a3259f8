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
│   ├── ReentryRefused
│   └── FrequencyCapExceeded
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
├── InvalidFunction
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

from engine.errors.base import EngineError, InvalidFunction, InvalidRetry, InvalidTenant
from engine.errors.flows import (
    AlreadyInFlow,
    AmbiguousEntryNode,
    EntryRefused,
    FlowNotActive,
    FrequencyCapExceeded,
    InvalidCorrelationKey,
    InvalidSchedule,
    InvalidSignature,
    MissingCorrelationKey,
    NothingChosen,
    ReentryRefused,
    UnknownActivity,
    UnknownEntryNode,
    UnknownFlow,
    UnknownInstance,
    UnknownJob,
    UnknownSchedule,
    UnknownScheduledWork,
)
from engine.errors.log import (
    AggregateTaken,
    ConcurrencyConflict,
    InvalidAggregate,
    InvalidEvent,
    InvalidMoment,
    InvalidProjection,
    InvalidSubscription,
    NotRebuildable,
    ProjectionError,
    ProjectionNotStopped,
    ProjectionStopped,
    UnfoldedEvent,
    UnknownAggregate,
    UnknownFold,
    UnknownProjection,
    UnreadableLog,
    UpcastFailed,
)
from engine.errors.sagas import (
    DuplicateStep,
    InvalidSaga,
    InvalidSagaInput,
    NotCallable,
    PivotConflict,
    SagaCancelled,
    SagaChanged,
    SagaEnding,
    SagaExists,
    SagaFailed,
    SagaFinished,
    SagaNotRecoverable,
    SagaNotStuck,
    SagaRunning,
    SagaStopped,
    SagaTakenOver,
    SagaTimedOut,
    StepCycle,
    UnknownDefinition,
    UnknownSaga,
    UnknownStep,
)

__all__ = [
    "AggregateTaken",
    "AlreadyInFlow",
    "AmbiguousEntryNode",
    "ConcurrencyConflict",
    "DuplicateStep",
    "EngineError",
    "EntryRefused",
    "FlowNotActive",
    "FrequencyCapExceeded",
    "InvalidAggregate",
    "InvalidCorrelationKey",
    "InvalidEvent",
    "InvalidFunction",
    "InvalidMoment",
    "InvalidProjection",
    "InvalidRetry",
    "InvalidSaga",
    "InvalidSagaInput",
    "InvalidSchedule",
    "InvalidSignature",
    "InvalidSubscription",
    "InvalidTenant",
    "MissingCorrelationKey",
    "NotCallable",
    "NotRebuildable",
    "NothingChosen",
    "PivotConflict",
    "ProjectionError",
    "ProjectionNotStopped",
    "ProjectionStopped",
    "ReentryRefused",
    "SagaCancelled",
    "SagaChanged",
    "SagaEnding",
    "SagaExists",
    "SagaFailed",
    "SagaFinished",
    "SagaNotRecoverable",
    "SagaNotStuck",
    "SagaRunning",
    "SagaStopped",
    "SagaTakenOver",
    "SagaTimedOut",
    "StepCycle",
    "UnfoldedEvent",
    "UnknownActivity",
    "UnknownAggregate",
    "UnknownDefinition",
    "UnknownEntryNode",
    "UnknownFlow",
    "UnknownFold",
    "UnknownInstance",
    "UnknownJob",
    "UnknownProjection",
    "UnknownSaga",
    "UnknownSchedule",
    "UnknownScheduledWork",
    "UnknownStep",
    "UnreadableLog",
    "UpcastFailed",
]
