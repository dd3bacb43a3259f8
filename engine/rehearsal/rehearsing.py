"""One participant through a version's graph, at no time and without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import transaction

from engine import ports, triggers
from engine.connections import execute
from engine.execution import holdout, program
from engine.execution.burst import Burst, SubscriptionRow
from engine.execution.program import Program
from engine.execution.state import InstanceState
from engine.expressions import Scope
from engine.graph_settings import listeners_of
from engine.nodes.base import Need
from engine.rehearsal import checking, report
from engine.rehearsal.plan import Plan
from engine.rehearsal.rehearser import Known, Rehearser
from engine.rehearsal.stage import Stage
from flows import publishing
from flows.errors import InvalidGraph
from flows.graph.problems import Problem
from flows.models import FlowVersion
from tenants.ids import uuid7

JSON = dict[str, Any]

# PostgreSQL itself refuses to write, and to think for longer than this.
READ_ONLY = "SET LOCAL transaction_read_only = on"
PATIENCE = "SET LOCAL statement_timeout = '5s'"

# What a graph may lack and still be tried out.
BEARABLE = frozenset({"unresolved_reference"})


def rehearse(version: FlowVersion, plan: Plan) -> JSON:
    """
    Rehearse a version, a draft too, and tell how it went.

    Raises InvalidGraph where the graph could not run at all, Invalid where the plan does not fit it, and
    UnknownEntryNode or AmbiguousEntryNode. Nothing is written: PostgreSQL keeps the transaction from it.
    """
    problems = _bearable_problems(version)
    compiled = program.compile_graph(version.graph, version_id=str(version.pk), version=version.number)
    checking.check(plan, compiled)
    entry_node = triggers.entry_node_of(compiled, plan.entry_node)
    with read_only():
        burst = _open(version, compiled, plan, entry_node)
        known = _known(version, compiled, plan)
        stage = Stage(Rehearser(burst, plan, known), plan)
        refusal = _refusal(compiled, entry_node, plan, known)
        if refusal is None:
            stage.play()
        told = report.of(stage, compiled, refusal)
    warnings = [
        *report.warnings_of(stage),
        *_kept_out(version, compiled, plan),
        *(problem.as_json() for problem in problems),
    ]
    return {**told, "warnings": warnings}


@contextmanager
def read_only() -> Iterator[None]:
    """Let nothing be written in the block, also where the caller's transaction may write, and leave nothing of it."""
    with transaction.atomic():
        execute(READ_ONLY)
        execute(PATIENCE)
        yield
        transaction.set_rollback(True)


def _bearable_problems(version: FlowVersion) -> list[Problem]:
    found = publishing.validate(version.graph, version.tenant)
    if fatal := [problem for problem in found.errors if problem.code not in BEARABLE]:
        raise InvalidGraph(fatal)
    return [*found.errors, *found.warnings]


def _known(version: FlowVersion, compiled: Program, plan: Plan) -> Known:
    bound, tenant_id, who = ports.bound(), str(version.tenant_id), [plan.participant_id]
    profile, segments = plan.profile, plan.segments
    if profile is None:
        profile = bound.profiles.fetch_many(tenant_id, who).get(plan.participant_id)
    preferences = bound.preferences.fetch_many(tenant_id, who).get(plan.participant_id)
    if plan.preferences is not None:
        # What silence means is the tenant's to say, of whoever is made up too.
        preferences = replace(plan.preferences, opt_in=preferences.opt_in if preferences else frozenset())
    if segments is None and Need.SEGMENTS in compiled.needs:
        names = sorted(compiled.segments)
        segments = bound.segments.memberships_many(tenant_id, who, names).get(plan.participant_id)
    return Known(profile, preferences, segments or frozenset())


# As an entry makes a run, but in memory alone.
def _open(version: FlowVersion, compiled: Program, plan: Plan, entry_node: str) -> Burst:
    new = InstanceState(id=str(uuid7()))
    burst = Burst(new, compiled, plan.begins, "running", 0, 0)
    data = {
        "tenant_id": str(version.tenant_id),
        "flow_id": str(version.flow_id),
        "version_id": str(version.pk),
        "version": version.number,
        "participant_id": plan.participant_id,
        "correlation_key": "",
        "live_key": "",
        "entry_node": entry_node,
        "entry_type": compiled.nodes[entry_node].type,
        "entry_event": None,
        "context": plan.entry,
    }
    burst.record("flow_started", data)
    burst.subscriptions += [
        SubscriptionRow(event_type, kind, "", rule or None, plan.begins, until)
        for event_type, kind, rule, until in listeners_of(compiled.settings, plan.entry, plan.begins)
    ]
    return burst


# Whoever is made up is never kept out; somebody real is always the same.
def _kept_out(version: FlowVersion, compiled: Program, plan: Plan) -> list[JSON]:
    percent = compiled.settings.holdout_percent
    if plan.profile is not None or not holdout.is_in(str(version.flow_id), plan.participant_id, percent):
        return []
    detail = f"The participant is one of the {percent} % who are kept out of this flow; the rehearsal lets them in."
    return [{"code": "holdout", "detail": detail, "attr": "graph.settings.holdout_percent", "node_id": None}]


# An event that would not have started the flow is told as such: its entry has a filter.
def _refusal(compiled: Program, entry_node: str, plan: Plan, known: Known) -> str | None:
    entry = compiled.nodes[entry_node]
    if entry.type != "event_entry" or entry.node is None:
        return None
    scope = Scope(entry=plan.entry, event=plan.entry, participant=known.profile, now=plan.begins)
    refusal: str | None = entry.node.refusal(entry.config, scope, occurred_at=plan.begins, now=plan.begins)  # type: ignore[attr-defined]  # an event_entry
    return refusal
