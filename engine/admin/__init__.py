"""How flows run, as operators see it; what the engine owns is looked at, and moved by verbs only."""

from engine.admin import (
    activities,
    instances,
    looks,
    node_types,
    projections,
    rehearsals,
    sagas,
    schedules,
    statistics,
    troubles,
)

__all__ = [
    "activities",
    "instances",
    "looks",
    "node_types",
    "projections",
    "rehearsals",
    "sagas",
    "schedules",
    "statistics",
    "troubles",
]
