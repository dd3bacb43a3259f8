"""Checking a graph and making it the one that a flow runs; what the engine knows of graphs is registered here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from flows import clock, locks
from flows.errors import FlowArchived, InvalidGraph, InvalidStrategy, VersionPublished
from flows.graph import rules
from flows.graph.model import Graph, parse, read
from flows.graph.problems import Problem, Severity
from flows.graph.walk import CategoryOf
from flows.models import Flow, FlowTrigger, FlowVersion
from flows.models.flow import FlowStatus
from flows.models.version import VersionStatus
from tenants.models import Tenant

NEW_ENTRIES_ONLY = "new_entries_only"


@dataclass(frozen=True, slots=True)
class Validation:
    """What is wrong with a graph; only errors forbid publishing."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def valid(self) -> bool:
        """Whether the graph can be published."""
        return not self.errors

    def as_json(self) -> dict[str, Any]:
        """Give the shape that clients see."""
        return {
            "valid": self.valid,
            "errors": [problem.as_json() for problem in self.errors],
            "warnings": [problem.as_json() for problem in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class Rollout:
    """How running instances come to a version that is being published."""

    strategy: str = NEW_ENTRIES_ONLY
    percent: int | None = None
    node_mapping: Mapping[str, Any] = field(default_factory=dict)
    removed_node_policy: Any = None
    reason: str = ""


Check = Callable[[Graph, Tenant], Iterable[Problem]]
TriggerReader = Callable[[Graph], Iterable[tuple[str, str, str]]]
Strategy = Callable[[FlowVersion, FlowVersion | None, Rollout], None]


def _unknown(_: str) -> None:
    return None


@dataclass(slots=True)
class Registered:
    """What other apps hand in when they start; until then no type is known."""

    checks: list[Check] = field(default_factory=list)
    trigger_readers: list[TriggerReader] = field(default_factory=list)
    strategies: dict[str, Strategy] = field(default_factory=dict)
    category_of: CategoryOf = field(default=_unknown)


registered = Registered()


def register_check(check: Check) -> None:
    """Have every validation ask `check` too; it gets a graph whose edges all resolve, and the tenant."""
    if check not in registered.checks:
        registered.checks.append(check)


def register_categories(category_of: CategoryOf) -> None:
    """Say how to tell a node type's category (`trigger`, `end`, …; None for a type nobody knows)."""
    registered.category_of = category_of


def register_trigger_reader(reader: TriggerReader) -> None:
    """Have `reader` name what starts a flow by itself: (kind, key, node id) of each trigger in a graph."""
    if reader not in registered.trigger_readers:
        registered.trigger_readers.append(reader)


def register_strategy(name: str, begin: Strategy) -> None:
    """Offer a strategy; `begin(version, previous, rollout)` is called in the transaction that publishes."""
    registered.strategies[name] = begin


def validate(raw: object, tenant: Tenant) -> Validation:
    """Check a graph by every rule there is; never raises, whatever was sent."""
    graph, problems = read(raw)
    if graph is not None:
        problems += rules.problems_of(graph, registered.category_of)
        # A place whose shape is wrong is blamed once, not again for what that makes of it.
        blamed = {problem.attr for problem in problems}
        found = (problem for check in registered.checks for problem in check(graph, tenant))
        problems += [problem for problem in found if problem.attr not in blamed]
    return Validation(
        errors=tuple(problem for problem in problems if problem.severity is Severity.ERROR),
        warnings=tuple(problem for problem in problems if problem.severity is Severity.WARNING),
    )


def publish(version: FlowVersion, *, by: str = "", rollout: Rollout | None = None) -> FlowVersion:
    """
    Make this version the one that its flow runs; the one before becomes deprecated.

    Locks the flow, so that of two publishers the second sees what the first did.
    """
    rollout = rollout or Rollout()
    strategy = _strategy(rollout)
    with transaction.atomic():
        flow = locks.hold(Flow(pk=version.flow_id))
        if flow.status == FlowStatus.ARCHIVED:
            raise FlowArchived
        if locks.hold(version).status == VersionStatus.PUBLISHED:
            raise VersionPublished
        _refuse_invalid(version)
        previous = flow.versions.filter(status=VersionStatus.PUBLISHED).first()
        _replace(previous, version, by=by, rollout=rollout)
        Flow.objects.filter(pk=flow.pk).update(active_version=version, updated_at=clock.now())
        rewrite_triggers(version)
        if strategy is not None:
            strategy(version, previous, rollout)
    return version


def rewrite_triggers(version: FlowVersion) -> None:
    """Write down what starts the flow by itself now that this version is its active one."""
    graph = parse(version.graph)
    FlowTrigger.objects.filter(flow_id=version.flow_id).delete()
    FlowTrigger.objects.bulk_create(
        FlowTrigger(
            tenant_id=version.tenant_id, flow_id=version.flow_id, version=version, kind=kind, key=key, node_id=node_id
        )
        for reader in registered.trigger_readers
        for kind, key, node_id in reader(graph)
    )


def _strategy(rollout: Rollout) -> Strategy | None:
    if rollout.strategy in registered.strategies:
        return registered.strategies[rollout.strategy]
    if rollout.strategy == NEW_ENTRIES_ONLY:
        return None
    known = ", ".join(sorted({NEW_ENTRIES_ONLY, *registered.strategies}))
    raise InvalidStrategy(f"The strategy must be one of: {known}.", attr="strategy")


def _refuse_invalid(version: FlowVersion) -> None:
    validation = validate(version.graph, version.tenant)
    if not validation.valid:
        raise InvalidGraph(validation.errors)


# The previous one goes first: the database allows one published version per flow at any moment.
def _replace(previous: FlowVersion | None, version: FlowVersion, *, by: str, rollout: Rollout) -> None:
    if previous is not None:
        previous.status = VersionStatus.DEPRECATED
        previous.save(update_fields=["status"])
    version.status = VersionStatus.PUBLISHED
    version.published_at = clock.now()
    version.published_by = by
    version.strategy = rollout.strategy
    version.rollout_percent = rollout.percent
    version.node_mapping = dict(rollout.node_mapping)
    version.removed_node_policy = rollout.removed_node_policy
    version.save()
