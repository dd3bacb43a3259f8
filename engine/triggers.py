"""The only way an instance begins: its row and its `flow_started` event, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from engine import bells, births, clock, entry_caps, entry_memory, errors, ports
from engine.bells import Bell
from engine.connections import execute
from engine.entering import Entry, Verdict, Whence
from engine.event_store.events import Event
from engine.execution import program, state, write
from engine.execution.program import Program
from engine.expressions import MISSING, Scope, compile_path
from engine.graph_settings import listeners_of
from engine.message_caps import Cap
from flows.models import Flow, FlowInstance

JSON = dict[str, Any]

LIVE_SQL = births.LIVE_SQL
MAX_KEY = 255

# Unlocked: an entry that races a pause may go either way.
FIND_FLOW = "SELECT status, active_version_id FROM flows WHERE id = %(flow)s AND tenant_id = %(tenant)s"


def start(
    flow: Flow,
    participant_id: str,
    *,
    context: JSON | None = None,
    entry_node: str | None = None,
    correlation_key: str | None = None,
    actor: str = "",
) -> FlowInstance:
    """
    Start a flow for one participant, in the caller's transaction where there is one.

    Raises an EngineError where that cannot be, such as AlreadyInFlow or MissingCorrelationKey; nothing is written then.
    """
    wanted = [Entry(str(participant_id), context or {}, correlation_key)]
    (verdict,) = start_many(flow, wanted, entry_node=entry_node, actor=actor)
    if verdict.refusal is not None:
        raise verdict.refusal
    assert verdict.state is not None
    return _instance(flow, verdict.state)


def start_many(  # noqa: PLR0913  # one keyword for each thing that can be said of a start
    flow: Flow,
    entries: Iterable[Entry | str],
    *,
    context: JSON | None = None,
    entry_node: str | None = None,
    actor: str = "",
    source: str = "api",
    correlation_id: str = "",
) -> list[Verdict]:
    """
    Start a flow for many participants with a few statements; one verdict each, in their order.

    `entries` are participants' ids (a values_list queryset will do) or Entry values.
    """
    wanted = [each if isinstance(each, Entry) else Entry(str(each), context or {}) for each in entries]
    whence = Whence(actor or source, correlation_id)
    return start_by_id((flow.tenant_id, flow.pk), wanted, entry_node=entry_node, whence=whence)


def start_by_id(
    of: tuple[UUID, UUID], wanted: Sequence[Entry], *, entry_node: str | None = None, whence: Whence
) -> list[Verdict]:
    """
    Start the flow with this (tenant's id, id) for many participants; raise UnknownFlow where there is none.

    Three statements: one reads the flow anew, as any copy of it may be older than a pause, one asks who has turned out
    to be somebody else (the run is that one's), the third writes.
    """
    tenant_id, flow_id = of
    status, version_id = execute(FIND_FLOW, {"tenant": tenant_id, "flow": flow_id}).fetchone() or ("", None)
    if not status:
        raise errors.UnknownFlow
    if status != "active" or version_id is None:
        refusal = f"The flow is {status}; only an active flow takes entries."
        return [Verdict(each, refusal=errors.FlowNotActive(refusal)) for each in wanted]
    compiled = program.of_version(version_id)
    run = _Run(str(tenant_id), str(flow_id), compiled, entry_node_of(compiled, entry_node), clock.now(), whence)
    # One statement is a transaction of its own.
    with transaction.atomic() if len(wanted) > 1 or run.writes_more else nullcontext():
        verdicts = run.enter(_as_who_they_are(tenant_id, wanted))
        if any(each.refusal is None for each in verdicts):
            bells.ring_on_commit(Bell.ADVANCE)
    for verdict, entry in zip(verdicts, wanted, strict=True):
        verdict.entry = entry
    return verdicts


def _as_who_they_are(tenant_id: UUID, wanted: Sequence[Entry]) -> Sequence[Entry]:
    names = sorted({each.participant_id for each in wanted})
    merged = ports.bound().profiles.merged_many(str(tenant_id), names)
    if not merged:
        return wanted
    return [replace(each, participant_id=merged.get(each.participant_id, each.participant_id)) for each in wanted]


def _instance(flow: Flow, new: state.InstanceState) -> FlowInstance:
    return FlowInstance(
        id=UUID(new.id),
        tenant_id=flow.tenant_id,
        flow=flow,
        version_id=UUID(new.version_id),
        participant_id=new.participant_id,
        correlation_key=new.correlation_key,
        live_key=new.live_key,
        status=new.status,
        current_nodes=new.current_nodes,
        context=new.context,
        entered_at=new.entered_at or clock.now(),
        updated_at=new.updated_at or clock.now(),
        sequence=1,
        priority=program.of_version(new.version_id).settings.priority,
        runnable=True,
    )


def entry_node_of(compiled: Program, named: str | None) -> str:
    """Give the entry node that was named, or the only one; raise UnknownEntryNode or AmbiguousEntryNode."""
    entries = compiled.entries
    if named is not None:
        if named not in entries:
            raise errors.UnknownEntryNode(
                f"The flow has no entry node {named}; it has {', '.join(entries)}.", attr="entry_node"
            )
        return named
    if len(entries) != 1:
        raise errors.AmbiguousEntryNode(
            f"The flow has the entry nodes {', '.join(entries)}; name one.", attr="entry_node"
        )
    return entries[0]


@dataclass(slots=True)
class _Run:
    """One bulk start."""

    tenant_id: str
    flow_id: str
    program: Program
    entry_node: str
    now: datetime
    whence: Whence

    @property
    def writes_more(self) -> bool:
        """Whether more is written than instances and their events."""
        settings = self.program.settings
        listens = settings.exit_criteria.events or (settings.goal and settings.goal.event_type)
        return bool(listens) or settings.reentry in ("once", "after_interval")

    def enter(self, wanted: Sequence[Entry]) -> list[Verdict]:
        verdicts = [Verdict(entry) for entry in wanted]
        keyed = [(each, key) for each in verdicts if (key := self._correlate(each)) is not None]
        if self.program.settings.frequency_cap is not None:
            keyed = self._within_cap(self.program.settings.frequency_cap.as_cap(), keyed)
        if self.program.settings.reentry in ("once", "after_interval"):
            keyed = self._admit(keyed)
        self._insert(keyed)
        return verdicts

    # Gives the correlation key of an entry, or refuses it.
    def _correlate(self, verdict: Verdict) -> str | None:
        entry, settings = verdict.entry, self.program.settings
        key = entry.correlation_key
        if key is None and settings.correlation_key:
            found = compile_path(settings.correlation_key).read(Scope(entry=entry.context))
            key = None if found is MISSING or found is None else str(found)
        if key in (None, "") and settings.reentry == "per_key":
            verdict.refusal = errors.MissingCorrelationKey(attr="correlation_key")
        elif key is not None and len(key) > MAX_KEY:
            verdict.refusal = errors.InvalidCorrelationKey(attr="correlation_key")
        return None if verdict.refusal else key or ""

    # Refuses those whose cap is reached.
    def _within_cap(self, cap: Cap, keyed: list[tuple[Verdict, str]]) -> list[tuple[Verdict, str]]:
        per_key = self.program.settings.reentry == "per_key"
        names = [(verdict.entry.participant_id, key if per_key else "") for verdict, key in keyed]
        over = entry_caps.refusals((self.tenant_id, self.flow_id), cap, names, self.now)
        for (verdict, _), name in zip(keyed, names, strict=True):
            verdict.refusal = over.get(name)
        return [pair for pair in keyed if pair[0].refusal is None]

    # Applies `once` and `after_interval` under the lock of each participant's memory.
    def _admit(self, keyed: list[tuple[Verdict, str]]) -> list[tuple[Verdict, str]]:
        names = sorted({verdict.entry.participant_id for verdict, _ in keyed})
        memory = entry_memory.lock(self.tenant_id, self.flow_id, names)
        early = {name for name, (count, last) in memory.items() if count and not self._may_return(last)}
        self._refuse_early([verdict for verdict, _ in keyed if verdict.entry.participant_id in early])
        return [(verdict, key) for verdict, key in keyed if verdict.refusal is None]

    # Whoever has a run under way is told of it; the policy is the answer to the others.
    def _refuse_early(self, refused: list[Verdict]) -> None:
        if refused:
            keys = [(each.entry.participant_id, "") for each in refused]
            live = births.find_live(self.tenant_id, self.flow_id, keys)
            for each in refused:
                each.refuse_live(live.get((each.entry.participant_id, "")), otherwise=errors.ReentryRefused())

    def _may_return(self, last: datetime | None) -> bool:
        settings = self.program.settings
        if settings.reentry == "once":
            return False
        return last is None or last + (settings.reentry_interval or timedelta()) <= self.now

    def _insert(self, keyed: list[tuple[Verdict, str]]) -> None:
        if not keyed:
            return
        born = sorted(
            (self._birth(verdict, key) for verdict, key in keyed),
            key=lambda each: (each.state.participant_id, each.state.live_key),
        )
        priority = self.program.settings.priority
        newborns = [births.Newborn(each.state, each.encoded, priority, each.verdict.entry.cause) for each in born]
        entered = births.write(newborns, at=self.now, metadata=orjson.dumps(self.whence))
        accepted = [each for each in born if each.state.id in entered]
        write.copy(write.COPY_SUBSCRIPTIONS, (row for each in accepted for row in self._listeners(each.state)))
        for each in accepted:
            each.verdict.instance_id, each.verdict.state = each.state.id, each.state
        refused = [each for each in born if each.state.id not in entered]
        self._refuse_live(refused)
        self._count(accepted, refused)

    def _birth(self, verdict: Verdict, key: str) -> _Birth:
        settings, entry = self.program.settings, verdict.entry
        new = state.InstanceState(id=write.new_id())
        live_key = {"per_key": key, "always": new.id}.get(settings.reentry, "")
        data = {
            "tenant_id": self.tenant_id,
            "flow_id": self.flow_id,
            "version_id": self.program.version_id,
            "version": self.program.version,
            "participant_id": entry.participant_id,
            "correlation_key": key,
            "live_key": live_key,
            "entry_node": self.entry_node,
            "entry_type": self.program.nodes[self.entry_node].type,
            "entry_event": entry.entry_event,
            "context": entry.context,
        }
        event = Event("flow_started", data, 1, self.now)
        return _Birth(verdict, state.apply(new, event), orjson.dumps(data))

    def _listeners(self, new: state.InstanceState) -> Iterable[str]:
        for event_type, kind, rule, until in listeners_of(self.program.settings, new.entry, self.now):
            yield write.line(
                write.new_id(), new.tenant_id, new.participant_id, event_type, kind, new.id, "",
                orjson.dumps(rule).decode() if rule else None, self.now, until,
            )  # fmt: skip

    def _refuse_live(self, refused: list[_Birth]) -> None:
        if not refused:
            return
        keys = [(each.state.participant_id, each.state.live_key) for each in refused]
        live = births.find_live(self.tenant_id, self.flow_id, keys)
        for each in refused:
            # Ended between the refusal and this look: the answer stays the same, without an id.
            found = live.get((each.state.participant_id, each.state.live_key))
            each.verdict.refuse_live(found, otherwise=errors.AlreadyInFlow())

    def _count(self, accepted: list[_Birth], refused: list[_Birth]) -> None:
        if self.program.settings.reentry not in ("once", "after_interval"):
            return
        entry_memory.count(self.flow_id, [each.state.participant_id for each in accepted], at=self.now)
        if refused:
            entry_memory.forget_unused(self.flow_id, [each.state.participant_id for each in refused])


@dataclass(slots=True)
class _Birth:
    """An instance that is about to be written."""

    verdict: Verdict
    state: state.InstanceState
    encoded: bytes
