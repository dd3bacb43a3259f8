"""
What can be wrong with a flow.

FlowError
├── IllegalTransition   invalid_transition
├── FlowArchived        flow_archived
├── FlowNotDraft        flow_not_draft
├── FlowInUse           flow_has_journeys
├── NoVersion           no_version
├── VersionPublished    version_published
├── InvalidStrategy     invalid_strategy
└── InvalidGraph        invalid_graph, with every problem
"""

from collections.abc import Iterable

from flows.graph import problems
from tenants.errors import Invalid, KalciferError, Problem


class FlowError(KalciferError):
    """Base of every error about flows."""

    code = "flow_error"


class IllegalTransition(FlowError):
    """A state machine has no such arrow."""

    code = "invalid_transition"

    def __init__(self, *, of: str, current: str, target: str) -> None:
        """Say what it is, what it was to become, and in words why it cannot."""
        self.current = current
        self.target = target
        article = "An" if of[0] in "aeiou" else "A"
        super().__init__(f"{article} {of} that is {current} cannot become {target}.")


class FlowArchived(FlowError):
    """The flow is archived and cannot be changed; duplicate it instead."""

    code = "flow_archived"


class FlowNotDraft(FlowError):
    """Only a flow in draft can be deleted; archive this one instead."""

    code = "flow_not_draft"


class FlowInUse(FlowError):
    """Journeys are built on this flow; delete them first."""

    code = "flow_has_journeys"


class NoVersion(FlowError):
    """The flow has no version to publish; create one first."""

    code = "no_version"


class VersionPublished(FlowError):
    """The version is published and cannot be changed; create a new one instead."""

    code = "version_published"


class InvalidStrategy(FlowError):
    """No such strategy of publishing."""

    code = "invalid_strategy"


class InvalidGraph(FlowError, Invalid):
    """The graph has problems that forbid what was asked."""

    code = "invalid_graph"

    def __init__(self, found: Iterable[problems.Problem]) -> None:
        """Carry every problem, each with its node."""
        Invalid.__init__(
            self, [Problem(each.code, each.detail, each.attr, {"node_id": each.node_id}) for each in found]
        )
