"""Why an instance stands where it stands, in words; and whatever is stranded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from engine import clock
from engine.connections import execute
from engine.models import Activity, EventSubscription, StoredEvent, Timer, Wake
from engine.models.activity import ActivityStatus
from engine.wording import ago, moment, spoken
from flows.models import FlowInstance
from flows.models.flow import FlowStatus
from flows.models.instance import LIVE
from flows.models.instance import InstanceStatus as Status

JSON = dict[str, Any]

# Live instances that nothing will ever move again: no mark, no timer, no wait, no activity, no pause.
STRANDED = f"""
    SELECT i.id, i.tenant_id, i.flow_id, i.participant_id, i.status, i.updated_at
      FROM flow_instances i JOIN flows f ON f.id = i.flow_id
     WHERE i.status IN ({", ".join(f"'{each.value}'" for each in sorted(set(LIVE) - {Status.PAUSED}))})
       AND NOT i.runnable AND f.status <> 'paused'
       AND NOT EXISTS (SELECT FROM instance_wakes w
                        WHERE w.tenant_id = i.tenant_id AND w.rank = -i.priority AND w.instance_id = i.id)
       AND NOT EXISTS (SELECT FROM timers t WHERE t.instance_id = i.id AND NOT t.held)
       AND NOT EXISTS (SELECT FROM event_subscriptions s WHERE s.instance_id = i.id AND s.kind = 'wait')
       AND NOT EXISTS (SELECT FROM activities a WHERE a.instance_id = i.id
                          AND (a.status IN ('running', 'parked') OR (a.status = 'pending' AND NOT a.held)))
     ORDER BY i.id LIMIT %s
"""

# Who is running the instance right now; the row is committed before the batch runs.
HOLDER = "SELECT worker FROM batch_claims WHERE instance_ids @> ARRAY[%s::uuid] ORDER BY started_at DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason; `wakes_on` says in words what would end it, `held_by` which worker has it in hand."""

    code: str
    detail: str
    node_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    wakes_on: str | None = None
    held_by: str | None = None


@dataclass(frozen=True, slots=True)
class Stranded:
    """A live instance that nothing will move."""

    id: str
    tenant_id: str
    flow_id: str
    participant_id: str
    status: str
    updated_at: datetime


def why(instance: FlowInstance) -> JSON:
    """Say why the instance stands where it stands: a summary, and every cause with its code."""
    causes = list(_causes(instance))
    return {"summary": " ".join(each.detail for each in causes), "causes": [asdict(each) for each in causes]}


def stranded(limit: int = 100) -> list[Stranded]:
    """Find live instances that nothing will ever move again; none is the promise."""
    return [Stranded(*row) for row in execute(STRANDED, [limit]).fetchall()]


def _causes(instance: FlowInstance) -> Iterator[Cause]:
    if instance.status in (Status.RUNNING, Status.WAITING):
        yield from _of_the_flow(instance)
        found = [*_of_the_mark(instance), *_Tokens(instance).causes()]
        yield from found or [_stranded_cause(instance, None)]
    elif instance.status == Status.PAUSED:
        yield _paused(instance)
        yield from _Tokens(instance).causes()
    elif instance.status == Status.COMPENSATING:
        yield from _of_the_flow(instance)
        yield _rolling_back(instance)
    else:
        yield _ended(instance)


def _of_the_flow(instance: FlowInstance) -> Iterator[Cause]:
    flow = instance.flow
    if flow.status == FlowStatus.PAUSED:
        detail = f"Its flow “{flow.name}” is paused since {moment(flow.paused_at)}: nothing of it executes."
        yield Cause("flow_paused", detail, since=flow.paused_at, wakes_on="the flow is resumed")


def _of_the_mark(instance: FlowInstance) -> Iterator[Cause]:
    if not instance.runnable and not _is_woken(instance):
        return
    node = next((each["node_id"] for each in instance.current_nodes if each["status"] == "running"), None)
    holder = execute(HOLDER, [str(instance.pk)]).fetchone()
    since = instance.updated_at
    if holder:
        yield Cause("being_run", f"A worker is running it right now ({holder[0]}).", node, since, held_by=holder[0])
    elif instance.deaths:
        detail = f"It is to run alone: worker processes died {spoken(instance.deaths, 'time')} with it in hand."
        yield Cause("suspected", detail, node, since, wakes_on="the next free worker")
    else:
        detail = f"It is ready to run node “{node}” for {ago(since, clock.now())}; the next free worker takes it."
        yield Cause("ready", detail, node, since, wakes_on="the next free worker")


def _is_woken(instance: FlowInstance) -> bool:
    return Wake.objects.filter(pk=(instance.tenant_id, -instance.priority, instance.pk)).exists()


def _paused(instance: FlowInstance) -> Cause:
    event = StoredEvent.objects.filter(aggregate_id=instance.pk, type="paused").order_by("-sequence").first()
    since = event.recorded_at if event else instance.updated_at
    by = f" by {event.metadata['actor']}" if event and event.metadata.get("actor") else ""
    reason = f" ({event.data['reason']})" if event and event.data.get("reason") else ""
    detail = f"It was paused{by} at {moment(since)}{reason}: nothing of it executes until it is resumed."
    return Cause("paused", detail, since=since, wakes_on="an operator resumes it")


def _ended(instance: FlowInstance) -> Cause:
    if instance.status == Status.COMPLETED:
        reason = f" with the reason “{instance.exit_reason}”" if instance.exit_reason else ""
        return Cause(
            "completed", f"It completed at {moment(instance.completed_at)}{reason}.", since=instance.completed_at
        )
    if instance.status == Status.EXITED:
        detail = f"It was ended from outside at {moment(instance.exited_at)}: {instance.exit_reason}."
        return Cause("exited", detail, since=instance.exited_at)
    if instance.status == Status.FAILED:
        error = instance.error or {}
        place = f" at node “{error['node_id']}”" if error.get("node_id") else ""
        detail = f"It failed{place} ({error.get('code')}): {error.get('detail')}"
        return Cause("failed", detail, error.get("node_id"), instance.updated_at, wakes_on="an operator retries it")
    if instance.status == Status.COMPENSATION_FAILED:
        return _rollback_stuck(instance)
    if instance.status == Status.COMPENSATED:
        undone = spoken(len((instance.compensation or {"plan": []})["plan"]), "node")
        detail = f"It was rolled back at {moment(instance.updated_at)}: {undone} undone."
        return Cause("compensated", detail, since=instance.updated_at)
    return Cause(str(instance.status), f"It is {instance.get_status_display().lower()}.", since=instance.updated_at)


def _rolling_back(instance: FlowInstance) -> Cause:
    plan = (instance.compensation or {"plan": []})["plan"]
    entry = next((each for each in plan if each["state"] == "running"), None)
    activity = Activity.objects.filter(pk=entry["activity"]).first() if entry else None
    if entry is None or activity is None:
        return _stranded_cause(instance, None)
    done = sum(each["state"] == "done" for each in plan)
    node, now = entry["node"], clock.now()
    so_far = f"It is being rolled back for {ago(instance.updated_at, now)}, {done} of {len(plan)} undone:"
    if activity.status == ActivityStatus.RUNNING:
        detail = f"{so_far} a worker undoes “{node}” right now ({activity.worker})."
        return Cause("compensating", detail, node, instance.updated_at, None, "its outcome", activity.worker or None)
    if activity.held:
        detail = f"{so_far} undoing “{node}” is kept back by a pause."
        return Cause("compensation_held", detail, node, instance.updated_at, None, "the pause ends")
    after = f" after {spoken(activity.attempts, 'attempt')}" if activity.attempts else ""
    detail = f"{so_far} “{node}” is undone next{after}, at {moment(activity.due_at)}."
    return Cause("compensating", detail, node, instance.updated_at, activity.due_at, "an activity worker")


def _rollback_stuck(instance: FlowInstance) -> Cause:
    left = [each for each in (instance.compensation or {"plan": []})["plan"] if each["state"] != "done"]
    stuck = next((each for each in left if each["error"]), None)
    error = stuck["error"] if stuck else {}
    names = ", ".join(f"“{each['node']}”" for each in left)
    detail = f"Its roll-back is stuck: {error.get('detail', 'no reason was recorded')} Still to be undone: {names}."
    node = stuck["node"] if stuck else None
    wakes_on = "an operator rolls it back again, or retries or completes the parked side effect"
    return Cause("compensation_failed", detail, node, instance.updated_at, wakes_on=wakes_on)


def _stranded_cause(instance: FlowInstance, node_id: str | None) -> Cause:
    place = f" at node “{node_id}”" if node_id else ""
    detail = (
        f"Nothing will move it{place}: no timer, no event, no activity and no mark is there for it. This is a defect."
    )
    return Cause("stranded", detail, node_id, instance.updated_at)


class _Tokens:
    """What each token of one instance waits for, by the rows that would wake it."""

    def __init__(self, instance: FlowInstance) -> None:
        self.instance = instance
        self.now = clock.now()
        self.is_paused = instance.status == Status.PAUSED or instance.flow.status == FlowStatus.PAUSED
        self.timers = {each.node_id: each for each in Timer.objects.filter(instance=instance)}
        waits = EventSubscription.objects.filter(instance=instance, kind=EventSubscription.Kind.WAIT)
        self.events: dict[str, list[str]] = {}
        for each in waits.order_by("event_type"):
            self.events.setdefault(each.node_id, []).append(each.event_type)
        open_ones = (ActivityStatus.PENDING, ActivityStatus.RUNNING, ActivityStatus.PARKED)
        self.activities = {
            str(each.pk): each for each in Activity.objects.filter(instance_id=instance.pk, status__in=open_ones)
        }

    def causes(self) -> Iterator[Cause]:
        for token in self.instance.current_nodes:
            if token["status"] == "held":
                yield self._held(token)
            elif token["status"] == "waiting":
                yield self._activity(token) if token["activity"] else self._wait(token)

    def _held(self, token: JSON) -> Cause:
        node = token["node_id"]
        others = ", ".join(f"“{each['node_id']}”" for each in self.instance.current_nodes if each["node_id"] != node)
        detail = f"At the join “{node}” it waits until its other branches ({others}) arrive or end."
        return Cause("held_at_join", detail, node, _time(token["since"]), wakes_on="the other branches arrive or end")

    def _wait(self, token: JSON) -> Cause:
        node, since = token["node_id"], _time(token["since"])
        timer, events = self.timers.get(node), self.events.get(node, [])
        if not events and (timer is None or (timer.held and not self.is_paused)):
            return _stranded_cause(self.instance, node)
        until = timer.due_at if timer else None
        named = " or ".join(f"“{each}”" for each in events)
        if timer and timer.due_at <= self.now and not timer.held:
            detail = f"The time of node “{node}” came {ago(timer.due_at, self.now)} ago; the next sweep takes it."
            return Cause("due", detail, node, since, until, "the next sweep")
        rest = " Its time is kept back by a pause." if timer and timer.held else ""
        if events:
            end = f", at the latest until {moment(until)}" if until else ", without a limit"
            detail = f"At node “{node}” it waits since {moment(since)} for the event {named}{end}.{rest}"
            return Cause(
                "waiting_for_event", detail, node, since, until, f"the event {named}" + (" or time" if until else "")
            )
        detail = f"At node “{node}” it waits since {moment(since)} until {moment(until)}.{rest}"
        return Cause("waiting_for_time", detail, node, since, until, "time")

    def _activity(self, token: JSON) -> Cause:
        node, since = token["node_id"], _time(token["since"])
        activity = self.activities.get(token["activity"])
        if activity is None:
            return _stranded_cause(self.instance, node)
        what = f"the side effect {activity.target} of node “{node}”"
        if activity.status == ActivityStatus.PARKED:
            error = (activity.error or {}).get("detail", "no reason was recorded")
            detail = f"It waits for an operator: {what} is parked after {spoken(activity.attempts, 'attempt')}: {error}"
            return Cause("activity_parked", detail, node, since, None, "an operator retries, completes or fails it")
        if activity.status == ActivityStatus.RUNNING:
            detail = f"It waits for {what}, which a worker is doing right now ({activity.worker})."
            return Cause(
                "activity_running", detail, node, since, activity.lease_until, "its outcome", activity.worker or None
            )
        if activity.held:
            detail = f"It waits for {what}, which is kept back by a pause."
            return Cause("activity_held", detail, node, since, None, "the pause ends")
        after = f" after {spoken(activity.attempts, 'attempt')}" if activity.attempts else ""
        detail = f"It waits for {what}, which is to be done next{after}, at {moment(activity.due_at)}."
        return Cause("activity_pending", detail, node, since, activity.due_at, "an activity worker")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
