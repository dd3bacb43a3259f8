"""The only way an instance begins: its row and its `flow_started` event, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import QuerySet

from engine import bells, clock, errors
from engine.bells import Bell
from engine.connections import execute
from engine.event_store.events import Event
from engine.execution import program, state, write
from engine.execution.program import Program
from engine.expressions import MISSING, Scope, bind, compile_path
from flows.models import Flow, FlowInstance
from flows.models.instance import LIVE

JSON = dict[str, Any]

LIVE_SQL = ", ".join(f"'{status.value}'" for status in sorted(LIVE))

# A row that would be a second live one of its key is left out; the partial unique index decides, under any concurrency.
INSERT_INSTANCES = f"""
    INSERT INTO flow_instances (id, tenant_id, flow_id, version_id, participant_id, correlation_key, live_key, status, current_nodes, context,
                                step_count, entered_at, updated_at, exit_reason, sequence, priority, runnable, deaths, log_tx)
    SELECT n.id, n.tenant_id, n.flow_id, n.version_id, n.participant_id, n.correlation_key, n.live_key, 'running', n.current_nodes,
           n.context, 0, n.at, n.at, '', 1, n.priority, true, 0, n.log_tx
      FROM jsonb_to_recordset(%s::jsonb) AS n(
           id uuid, tenant_id uuid, flow_id uuid, version_id uuid, participant_id text, correlation_key text, live_key text,
           current_nodes jsonb, context jsonb, at timestamptz, priority smallint, log_tx bigint)
    ON CONFLICT (tenant_id, flow_id, participant_id, live_key) WHERE status IN ({LIVE_SQL}) DO NOTHING
 RETURNING id
"""

FIND_LIVE = f"""
    SELECT i.participant_id, i.live_key, i.id FROM flow_instances i
      JOIN unnest(%(participants)s::text[], %(keys)s::text[]) AS n(participant_id, live_key)
        ON i.participant_id = n.participant_id AND i.live_key = n.live_key
     WHERE i.tenant_id = %(tenant)s AND i.flow_id = %(flow)s AND i.status IN ({LIVE_SQL})
"""

# Locks (or makes) the memory of each participant's entries, so that two starts at once see each other. Sorted, against deadlocks. An entry
# from before the policy asked for this memory is found in the instances themselves.
LOCK_ENTRIES = """
    INSERT INTO flow_entries (id, tenant_id, flow_id, participant_id, count, last_entered_at)
    SELECT n.id, %(tenant)s, %(flow)s, n.participant_id,
           (SELECT count(*) FROM flow_instances i WHERE i.tenant_id = %(tenant)s AND i.flow_id = %(flow)s AND i.participant_id = n.participant_id),
           coalesce((SELECT max(i.entered_at) FROM flow_instances i
                      WHERE i.tenant_id = %(tenant)s AND i.flow_id = %(flow)s AND i.participant_id = n.participant_id), '-infinity')
      FROM unnest(%(ids)s::uuid[], %(participants)s::text[]) AS n(id, participant_id)
     ORDER BY n.participant_id
    ON CONFLICT (flow_id, participant_id) DO UPDATE SET count = flow_entries.count
 RETURNING participant_id, count, CASE WHEN last_entered_at = '-infinity' THEN NULL ELSE last_entered_at END
"""
COUNT_ENTRIES = """
    UPDATE flow_entries SET count = count + 1, last_entered_at = %(now)s WHERE flow_id = %(flow)s AND participant_id = ANY(%(participants)s)
"""
FORGET_ENTRIES = "DELETE FROM flow_entries WHERE flow_id = %(flow)s AND participant_id = ANY(%(participants)s) AND count = 0"


@dataclass(frozen=True, slots=True)
class Entry:
    """A participant who wants to enter a flow."""

    participant_id: str
    context: JSON = field(default_factory=dict)
    correlation_key: str | None = None
    entry_event: str | None = None


@dataclass(slots=True)
class Verdict:
    """What became of an entry: an instance, or an error that says why not (`instance_id` is then the live one, if that is the reason)."""

    entry: Entry
    instance_id: str | None = None
    refusal: errors.EngineError | None = None
    instance: FlowInstance | None = None


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

    Raises FlowNotActive, AlreadyInFlow, ReentryRefused, AmbiguousEntryNode, UnknownEntryNode or MissingCorrelationKey; nothing is written then.
    """
    entry = Entry(str(participant_id), context or {}, correlation_key)
    (verdict,) = start_many(flow, [entry], entry_node=entry_node, actor=actor)
    if verdict.refusal is not None:
        raise verdict.refusal
    assert verdict.instance is not None
    return verdict.instance


def start_many(
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
    # Read anew: the caller's copy may be older than a pause.
    return start_found(Flow.objects.filter(pk=flow.pk), wanted, entry_node=entry_node, whence=whence)


@dataclass(frozen=True, slots=True)
class Whence:
    """Who or what asks for a start, for the record."""

    actor: str
    correlation_id: str = ""


def start_found(
    flows: QuerySet[Flow], wanted: Sequence[Entry], *, entry_node: str | None = None, whence: Whence
) -> list[Verdict]:
    """Start the one flow of a query for many participants; raise UnknownFlow where there is none."""
    with transaction.atomic():
        # Unlocked: an entry that races a pause may go either way.
        flow = flows.first()
        if flow is None:
            raise errors.UnknownFlow
        if flow.status != "active" or flow.active_version_id is None:
            return [Verdict(each, refusal=errors.FlowNotActive(f"The flow is {flow.status}; only an active flow takes entries.")) for each in wanted]
        compiled = program.of_version(str(flow.active_version_id))
        run = _Run(flow, compiled, _entry_node(compiled, entry_node), clock.now(), asdict(whence))
        verdicts = run.enter(wanted)
        if any(each.refusal is None for each in verdicts):
            bells.ring_on_commit(Bell.ADVANCE)
    return verdicts


def _entry_node(compiled: Program, named: str | None) -> str:
    entries = compiled.entries
    if named is not None:
        if named not in entries:
            raise errors.UnknownEntryNode(f"The flow has no entry node {named}; it has {', '.join(entries)}.", attr="entry_node")
        return named
    if len(entries) != 1:
        raise errors.AmbiguousEntryNode(f"The flow has the entry nodes {', '.join(entries)}; name one.", attr="entry_node")
    return entries[0]


@dataclass(slots=True)
class _Run:
    """One bulk start."""

    flow: Flow
    program: Program
    entry_node: str
    now: datetime
    metadata: JSON

    def enter(self, wanted: Sequence[Entry]) -> list[Verdict]:
        verdicts = [Verdict(entry) for entry in wanted]
        keyed = [(each, key) for each in verdicts if (key := self._correlate(each)) is not None]
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
            return None
        return key or ""

    # Applies `once` and `after_interval` under the lock of each participant's memory.
    def _admit(self, keyed: list[tuple[Verdict, str]]) -> list[tuple[Verdict, str]]:
        names = sorted({verdict.entry.participant_id for verdict, _ in keyed})
        parameters = {
            "tenant": self.flow.tenant_id, "flow": self.flow.pk, "participants": names, "ids": [write.new_id() for _ in names],
        }  # fmt: skip
        memory = {row[0]: (row[1], row[2]) for row in execute(LOCK_ENTRIES, parameters).fetchall()}
        admitted = []
        for verdict, key in keyed:
            count, last = memory[verdict.entry.participant_id]
            if count and not self._may_return(last):
                verdict.refusal = errors.ReentryRefused()
            else:
                admitted.append((verdict, key))
        return admitted

    def _may_return(self, last: datetime | None) -> bool:
        settings = self.program.settings
        if settings.reentry == "once":
            return False
        return last is None or last + (settings.reentry_interval or timedelta()) <= self.now

    def _insert(self, keyed: list[tuple[Verdict, str]]) -> None:
        if not keyed:
            return
        tx = write.current_tx()
        born = sorted((self._birth(verdict, key) for verdict, key in keyed), key=lambda each: (each.state.participant_id, each.state.live_key))
        document = orjson.dumps([self._record(each.state, tx) for each in born]).decode()
        entered = {row[0] for row in execute(INSERT_INSTANCES, [document]).fetchall()}
        accepted = [each for each in born if each.state.id in entered]
        write.copy(write.COPY_EVENTS, (self._event_row(each, tx) for each in accepted))
        write.copy(write.COPY_SUBSCRIPTIONS, (row for each in accepted for row in self._listeners(each.state)))
        for each in accepted:
            each.verdict.instance_id = each.state.id
            each.verdict.instance = self._instance(each.state)
        self._refuse_live([each for each in born if each.state.id not in entered])
        self._count(accepted, [each for each in born if each.state.id not in entered])

    def _birth(self, verdict: Verdict, key: str) -> _Birth:
        settings, entry = self.program.settings, verdict.entry
        new = state.InstanceState(id=write.new_id())
        live_key = {"per_key": key, "always": new.id}.get(settings.reentry, "")
        data = {
            "tenant_id": str(self.flow.tenant_id),
            "flow_id": str(self.flow.pk),
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
        event = Event("flow_started", 1, data, self.now)
        return _Birth(verdict, state.apply(new, event), orjson.dumps(data))

    def _record(self, new: state.InstanceState, tx: int) -> JSON:
        return {
            "id": new.id,
            "tenant_id": new.tenant_id,
            "flow_id": new.flow_id,
            "version_id": new.version_id,
            "participant_id": new.participant_id,
            "correlation_key": new.correlation_key,
            "live_key": new.live_key,
            "current_nodes": new.current_nodes,
            "context": new.context,
            "at": self.now,
            "priority": self.program.settings.priority,
            "log_tx": tx,
        }

    def _event_row(self, birth: _Birth, tx: int) -> tuple[Any, ...]:
        new = birth.state
        return (
            write.new_id(), new.tenant_id, write.INSTANCE, new.id, 1, "flow_started", birth.encoded.decode(),
            orjson.dumps(self.metadata).decode(), self.now, tx,
        )  # fmt: skip

    # What ends the run from outside, and what its goal is, is listened for from entry on.
    def _listeners(self, new: state.InstanceState) -> Iterable[tuple[Any, ...]]:
        settings = self.program.settings
        scope = Scope(entry=new.entry, now=self.now)
        for criterion in settings.exit_criteria.on_event if settings.exit_criteria else ():
            yield self._listener(new, criterion.event_type, "exit", bind(criterion.filter.raw, scope), None)
        if (goal := settings.goal) is not None and goal.event_type:
            yield self._listener(new, goal.event_type, "goal", bind(goal.filter.raw, scope), self.now + goal.window)

    def _listener(self, new: state.InstanceState, event_type: str, kind: str, rule: Any, until: datetime | None) -> tuple[Any, ...]:
        return (
            write.new_id(), new.tenant_id, new.participant_id, event_type, kind, new.id, "", orjson.dumps(rule).decode() if rule else None,
            self.now, until,
        )  # fmt: skip

    def _instance(self, new: state.InstanceState) -> FlowInstance:
        return FlowInstance(
            id=UUID(new.id),
            tenant_id=self.flow.tenant_id,
            flow=self.flow,
            version_id=UUID(new.version_id),
            participant_id=new.participant_id,
            correlation_key=new.correlation_key,
            live_key=new.live_key,
            status=new.status,
            current_nodes=new.current_nodes,
            context=new.context,
            entered_at=self.now,
            updated_at=self.now,
            sequence=1,
            priority=self.program.settings.priority,
            runnable=True,
        )

    def _refuse_live(self, refused: list[_Birth]) -> None:
        if not refused:
            return
        parameters = {
            "tenant": self.flow.tenant_id,
            "flow": self.flow.pk,
            "participants": [each.state.participant_id for each in refused],
            "keys": [each.state.live_key for each in refused],
        }
        live = {(row[0], row[1]): row[2] for row in execute(FIND_LIVE, parameters).fetchall()}
        for each in refused:
            # Ended between the refusal and this look: the answer stays the same, without an id.
            each.verdict.instance_id = found = live.get((each.state.participant_id, each.state.live_key))
            each.verdict.refusal = errors.AlreadyInFlow(extra={"instance_id": found})

    def _count(self, accepted: list[_Birth], refused: list[_Birth]) -> None:
        if self.program.settings.reentry not in ("once", "after_interval"):
            return
        names = [each.state.participant_id for each in accepted]
        execute(COUNT_ENTRIES, {"now": self.now, "flow": self.flow.pk, "participants": names})
        if refused:
            execute(FORGET_ENTRIES, {"flow": self.flow.pk, "participants": [each.state.participant_id for each in refused]})


@dataclass(slots=True)
class _Birth:
    """An instance that is about to be written."""

    verdict: Verdict
    state: state.InstanceState
    encoded: bytes
