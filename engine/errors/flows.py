"""What is refused of flows that run: entries, runs, side effects, schedules."""

from __future__ import annotations

from engine.errors.base import EngineError


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


class FrequencyCapExceeded(EntryRefused):
    """The participant has got as many messages as the flow allows in its time."""

    code = "frequency_cap_exceeded"


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


class InvalidSchedule(EngineError):
    """The schedule does not say when to start."""

    code = "invalid_schedule"


class InvalidSignature(EngineError):
    """The signature does not fit the body, or is too old."""

    code = "invalid_signature"


class NothingChosen(EngineError):
    """Name ids or at least one filter: an act on everything must be asked for by a filter."""

    code = "nothing_chosen"
