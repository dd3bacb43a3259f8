"""Which task waits in which queue, and what beat starts: the same here and in somebody else's project."""

QUEUES = ("flow_triggers", "delayed_resume", "activities", "projections", "maintenance")

ROUTES = {
    "engine.advance": "flow_triggers",
    "engine.route": "flow_triggers",
    "engine.run_sagas": "flow_triggers",
    "engine.sweep": "flow_triggers",
    "engine.wake_due": "delayed_resume",
    "engine.run_schedules": "delayed_resume",
    "engine.run_activities": "activities",
    "engine.compensate_next": "activities",
    "engine.project": "projections",
    "engine.run_chores": "projections",
    "engine.prune": "maintenance",
}

# Task and seconds between two runs. A message that waited for two intervals is dropped by the worker that gets it.
PERIODIC = {"engine.sweep": 5, "engine.run_schedules": 5, "engine.prune": 3600}
