"""What the engine hands in to flows at start-up."""

from __future__ import annotations

from collections.abc import Iterator

from engine import checks, clock, functions, http_caller, overdue, ports, sandbox, triggers
from engine.analytics.flow_statistics import FlowStatistics
from engine.analytics.node_statistics import NodeStatistics
from engine.bus import connecting as bus
from engine.compensation import connecting
from engine.execution import folding
from engine.nodes import registry
from engine.nodes.errors import InvalidConfig, UnknownNodeType
from engine.projections import registry as projections
from engine.sagas import folding as saga_folding
from engine.sagas import owner as sagas
from engine.snapshots import folds
from engine.vault_lookup import VaultLookup
from engine.workflow_scheduler import tasks as scheduled_tasks
from flows import clock as flows_clock
from flows import lifecycle, publishing, starting
from flows.graph.model import Graph
from flows.models import FlowTrigger

# Which trigger node listens for what, by the config key that names it.
TRIGGER_KINDS = {
    "event_entry": (FlowTrigger.Kind.EVENT, "event_type"),
    "segment_entry": (FlowTrigger.Kind.SEGMENT, "segment_id"),
    "webhook_entry": (FlowTrigger.Kind.WEBHOOK, "webhook_path"),
}


def connect() -> None:
    """Register checks, categories and triggers; may be called twice."""
    flows_clock.use(clock.now)
    publishing.register_categories(category_of)
    publishing.register_trigger_reader(triggers_of)
    publishing.register_check(checks.graph_nodes_are_valid)
    for projection in (FlowStatistics, NodeStatistics):
        projections.register(projection)
    if overdue.go_on not in lifecycle.on_resume:
        lifecycle.on_resume.append(overdue.go_on)
    starting.use(triggers.start)
    sagas.connect()
    folds.register(folding.FOLD)
    folds.register(saga_folding.FOLD)
    connecting.connect()
    scheduled_tasks.connect()
    bus.connect()
    checks.register_resolver("callable", functions.existing)
    ports.bind(http=http_caller.configured(), secrets=VaultLookup())
    ports.bind(functions=functions.Functions(), sandbox=sandbox.MontySandbox())


def category_of(node_type: str) -> str | None:
    """Tell a node type's category, or None for a type nobody knows."""
    try:
        return str(registry.get(node_type).category)
    except UnknownNodeType:
        return None


def triggers_of(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Name what starts a flow by itself: (kind, key, node id) of each trigger node."""
    for node in graph.nodes.values():
        if node.type in TRIGGER_KINDS:
            kind, key = TRIGGER_KINDS[node.type]
            try:
                config = registry.parse_config(node.type, node.config)
            except InvalidConfig:
                continue
            yield kind, getattr(config, key), node.id
