"""The publish check for graphs: types, configs, branches, paths, references and settings."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine import clock, ports
from engine.expressions import InvalidPath, compile_path
from engine.graph_settings import Settings, parse_settings
from engine.nodes import registry
from engine.nodes.base import Category, Need, Node, Reference, RunsAs
from engine.nodes.errors import InvalidConfig, UnknownNodeType
from engine.nodes.reading import paths_in
from flows.graph.model import Graph, GraphNode
from flows.graph.problems import Problem, Severity
from tenants.models import Tenant

Existing = Callable[[str, Sequence[str]], frozenset[str]]


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """A node whose type is known and whose config is valid."""

    raw: GraphNode
    node: Node
    config: Any
    part: str = "config"

    @property
    def at(self) -> str:
        """Where its config stands."""
        return f"graph.nodes.{self.raw.index}.{self.part}"


@dataclass(slots=True)
class Checked:
    """What of a graph could be understood, and what could not."""

    graph: Graph
    nodes: dict[str, CheckedNode] = field(default_factory=dict)
    undoing: dict[str, CheckedNode] = field(default_factory=dict)
    settings: Settings | None = None
    problems: list[Problem] = field(default_factory=list)


# Who knows what exists, by kind of reference; a kind that nobody knows about is not checked.
_resolvers: dict[str, Existing] = {}


def register_resolver(kind: str, existing: Existing) -> None:
    """Have publishing ask, for references of this kind, which of the names exist: `existing(tenant_id, names)`."""
    _resolvers[kind] = existing


def graph_nodes_are_valid(graph: Graph, tenant: Tenant) -> Iterator[Problem]:
    """Give every problem that the engine sees in a graph whose shape is right; never raises."""
    checked = Checked(graph)
    _read_nodes(checked)
    _read_settings(checked)
    yield from checked.problems
    yield from _compensations(checked)
    yield from _branches(checked)
    yield from _names(checked)
    yield from _paths(checked)
    yield from _references(checked, str(tenant.pk))
    yield from _faults(checked)
    yield from _notices(checked, clock.now())


def _read_nodes(checked: Checked) -> None:
    for raw in checked.graph.nodes.values():
        at = f"graph.nodes.{raw.index}"
        try:
            config = registry.parse_config(raw.type, raw.config)
            checked.nodes[raw.id] = CheckedNode(raw, registry.get(raw.type), config)
        except UnknownNodeType:
            checked.problems.append(_unknown_type(raw.type, f"{at}.type", raw.id))
        except InvalidConfig as error:
            checked.problems += _invalid_config(error, f"{at}.config", raw.id)


def _read_settings(checked: Checked) -> None:
    try:
        checked.settings = parse_settings(checked.graph.settings)
    except InvalidConfig as error:
        for problem in error.problems:
            attr = _join("graph.settings", problem.path)
            checked.problems.append(Problem("invalid_settings", _sentence(problem.path, problem.message), attr))


def _compensations(checked: Checked) -> Iterator[Problem]:
    for raw in checked.graph.nodes.values():
        if raw.compensation is None:
            continue
        at = f"graph.nodes.{raw.index}.compensation"
        try:
            config = registry.parse_config(raw.compensation.type, raw.compensation.config)
            checked.undoing[raw.id] = CheckedNode(
                raw, registry.get(raw.compensation.type), config, "compensation.config"
            )
        except UnknownNodeType:
            detail = f"There is no node type `{raw.compensation.type}`."
            yield Problem("invalid_compensation", detail, f"{at}.type", raw.id)
            continue
        except InvalidConfig as error:
            for problem in error.problems:
                detail = _sentence(problem.path, problem.message)
                yield Problem("invalid_compensation", detail, _join(f"{at}.config", problem.path), raw.id)
        if detail := _unfit(registry.get(raw.compensation.type)):
            yield Problem("invalid_compensation", detail, f"{at}.type", raw.id)


# A roll-back knows the participant's profile, and nothing else of what the loop fetches for the nodes of a run.
def _unfit(node: Node) -> str:
    if node.category is not Category.ACTION:
        return f"Only an action can undo something; `{node.type}` is none."
    if node.runs_as is RunsAs.INLINE and set(node.needs) - {Need.PROFILE}:
        return f"`{node.type}` needs what only a run under way has."
    return ""


def _branches(checked: Checked) -> Iterator[Problem]:
    taken = defaultdict(list)
    for edge in checked.graph.edges:
        taken[edge.source].append(edge)
    for node_id, checked_node in checked.nodes.items():
        if checked_node.node.category is Category.END:
            continue
        expected = checked_node.node.edges_of(checked_node.config)
        led = {edge.branch for edge in taken[node_id]}
        for branch in expected:
            if branch not in led:
                detail = f"Nothing follows `{node_id}`{_on(branch)}; add an edge."
                yield Problem("missing_branch", detail, f"graph.nodes.{checked_node.raw.index}", node_id)
        for edge in taken[node_id]:
            if edge.branch not in expected:
                detail = f"`{node_id}` has no branch {_name(edge.branch)}; it has {', '.join(map(_name, expected))}."
                yield Problem("unknown_branch", detail, f"graph.edges.{edge.index}.branch", node_id)


def _names(checked: Checked) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for node_id, checked_node in checked.nodes.items():
        name = getattr(checked_node.config, "save_as", None)
        if name is None or name == node_id:
            continue
        if (owner := owners.setdefault(name, node_id)) != node_id or name in checked.graph.nodes:
            taken_by = "a node" if name in checked.graph.nodes else f"the result of `{owner}`"
            detail = f"`{name}` is the name of {taken_by} already."
            yield Problem("save_as_collision", detail, f"{checked_node.at}.save_as", node_id)


def _paths(checked: Checked) -> Iterator[Problem]:
    known = set(checked.graph.nodes)
    known.update(filter(None, (getattr(node.config, "save_as", None) for node in checked.nodes.values())))
    for checked_node in (*checked.nodes.values(), *checked.undoing.values()):
        for place, path in checked_node.node.paths_of(checked_node.config):
            if detail := _trouble(path, known, undoes=checked_node.part != "config"):
                yield Problem("unknown_path", detail, f"{checked_node.at}.{place}", checked_node.raw.id)
    if checked.settings is None:
        return
    for place, path in paths_in(checked.settings):
        if detail := _trouble(path, known):
            yield Problem("unknown_path", detail, f"graph.settings.{place}")
    duplicate = checked.settings.on_duplicate_entry
    if duplicate and duplicate.if_at_node and duplicate.if_at_node not in checked.graph.nodes:
        detail = f"No node has the id `{duplicate.if_at_node}`."
        yield Problem("invalid_settings", detail, "graph.settings.on_duplicate_entry.if_at_node")


def _trouble(text: str, known: set[str], *, undoes: bool = False) -> str:
    try:
        path = compile_path(text)
    except InvalidPath as error:
        return str(error)
    if path.root == "result" and not undoes:
        return f"`{text}` is known in a compensation only; read nodes.<id> instead."
    if path.root == "nodes" and not any(".".join(path.parts[:end]) in known for end in range(1, len(path.parts) + 1)):
        return f"`{text}` reads the result of a node that is not in the graph."
    return ""


def _references(checked: Checked, tenant_id: str) -> Iterator[Problem]:
    wanted: dict[str, list[tuple[Reference, str, str | None]]] = defaultdict(list)
    for checked_node in (*checked.nodes.values(), *checked.undoing.values()):
        for reference in checked_node.node.references_of(checked_node.config):
            wanted[reference.kind].append((reference, checked_node.at, checked_node.raw.id))
    criteria = checked.settings.exit_criteria if checked.settings else None
    if criteria and criteria.on_segment_exit:
        reference = Reference("segment", criteria.on_segment_exit, "exit_criteria.on_segment_exit")
        wanted["segment"].append((reference, "graph.settings", None))
    for kind, found in wanted.items():
        existing = _existing(kind, tenant_id, sorted({reference.name for reference, _, _ in found}))
        for reference, at, owner in found:
            if existing is not None and reference.name not in existing:
                detail = f"There is no {kind} `{reference.name}`."
                yield Problem("unresolved_reference", detail, f"{at}.{reference.path}", owner)


def _faults(checked: Checked) -> Iterator[Problem]:
    for each in (*checked.nodes.values(), *checked.undoing.values()):
        for fault in each.node.faults(each.config):
            yield Problem(fault.code, _sentence(fault.path, fault.message), _join(each.at, fault.path), each.raw.id)


def _existing(kind: str, tenant_id: str, names: list[str]) -> frozenset[str] | None:
    if kind in _resolvers:
        return _resolvers[kind](tenant_id, names)
    asked: dict[str, ports.SecretLookup | ports.SegmentLookup] = {
        "secret": ports.bound().secrets,
        "segment": ports.bound().segments,
    }
    port = asked.get(kind)
    return None if port is None or isinstance(port, ports.Nobody) else port.existing(tenant_id, names)


def _notices(checked: Checked, now: datetime) -> Iterator[Problem]:
    for node_id, checked_node in checked.nodes.items():
        for notice in checked_node.node.notices(checked_node.config, now):
            attr = _join(checked_node.at, notice.path)
            yield Problem(notice.code, _sentence(notice.path, notice.message), attr, node_id, Severity.WARNING)
    reaches = any(getattr(node.config, "goal_name", None) for node in checked.nodes.values())
    if checked.settings is not None and checked.settings.goal is None and not reaches:
        detail = "The flow has no goal, so that nobody can tell how well it does."
        yield Problem("no_goal", detail, "graph.settings.goal", severity=Severity.WARNING)


def _unknown_type(type_: str, attr: str, node_id: str) -> Problem:
    return Problem("unknown_type", f"There is no node type `{type_}`.", attr, node_id)


def _invalid_config(error: InvalidConfig, at: str, node_id: str) -> Iterable[Problem]:
    for problem in error.problems:
        attr = _join(at, problem.path)
        yield Problem("invalid_config", _sentence(problem.path, problem.message), attr, node_id)


def _join(at: str, path: str) -> str:
    return f"{at}.{path}" if path else at


def _sentence(path: str, message: str) -> str:
    return f"`{path}`: {message}." if path else f"{message[:1].upper()}{message[1:]}."


def _on(branch: str | None) -> str:
    return "" if branch is None else f" on the branch `{branch}`"


def _name(branch: str | None) -> str:
    return "(none)" if branch is None else f"`{branch}`"
