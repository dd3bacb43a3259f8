"""What the API and the admin read of a run: its stored events, and the same as a story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from engine.models import StoredEvent
from engine.nodes import registry
from engine.nodes.errors import UnknownNodeType
from engine.wording import moment
from flows.models import FlowInstance

JSON = dict[str, Any]

# Bookkeeping that says nothing to a reader of the story.
UNTOLD = ("node_started",)


@dataclass(slots=True)
class Entry:
    """One line of the timeline."""

    kind: str
    title: str
    detail: str = ""
    node_id: str | None = None
    node_type: str | None = None
    data: JSON = field(default_factory=dict)


def events(instance: FlowInstance) -> QuerySet[StoredEvent]:
    """Give an instance's stored events, oldest first."""
    return StoredEvent.objects.filter(aggregate_id=instance.pk).order_by("sequence")


def timeline(instance: FlowInstance) -> QuerySet[StoredEvent]:
    """Give the events that are told in the timeline, oldest first; `as_entry` puts each in words."""
    return events(instance).exclude(type__in=UNTOLD)


def as_event(event: StoredEvent) -> JSON:
    """Give a stored event as the API shows it."""
    known = {name: event.metadata.get(name) or None for name in ("correlation_id", "causation_id", "actor")}
    return {
        "position": event.position,
        "sequence": event.sequence,
        "type": event.type,
        "data": event.data,
        "metadata": known,
        "recorded_at": event.recorded_at,
    }


def as_entry(event: StoredEvent) -> JSON:
    """Put one event in words that a marketer understands."""
    told = _TELLERS.get(event.type, _anything)(event.data)
    return {
        "at": event.recorded_at,
        "kind": told.kind,
        "node_id": told.node_id or event.data.get("node"),
        "node_type": told.node_type or event.data.get("type"),
        "title": told.title,
        "detail": told.detail,
        "actor": event.metadata.get("actor") or None,
        "data": told.data or event.data,
    }


def _name(node_type: str | None, node: str) -> str:
    try:
        title = registry.get(node_type or "").title
    except UnknownNodeType:
        title = ""
    return f"{title} “{node}”" if title else f"“{node}”"


def _error(error: JSON | None) -> str:
    found = error or {}
    return f"{found.get('detail') or 'No reason was recorded'} ({found.get('code') or 'error'})"


# --- one teller per type of event ---


def _entered(data: JSON) -> Entry:
    by = f" by the event {data['entry_event']}" if data.get("entry_event") else ""
    detail = f"Version {data['version']}, at node “{data['entry_node']}”{by}."
    return Entry("entered", "Entered the flow", detail, data["entry_node"], data["entry_type"])


def _completed_node(data: JSON) -> Entry:
    result = data["result"] or {}
    name = _name(data["type"], data["node"])
    if result.get("status") == "skipped":
        return Entry("skip", f"Skipped {name}", f"Reason: {result.get('reason') or 'none was given'}.")
    if result.get("status") == "failed":
        return Entry("failure", f"{name} failed, the run went on", _error(result.get("error")))
    following = ", ".join(f"“{each}”" for each in data["next"])
    detail = f"Went on to {following}." if following else ""
    if data["branch"] is not None:
        return Entry("branch", f"{name} took the branch “{data['branch']}”", detail)
    return Entry("node_completed", f"Completed {name}", detail)


def _waiting(data: JSON) -> Entry:
    until = f"until {moment(_time(data['until']))}" if data["until"] else "without a time limit"
    named = " or ".join(f"“{each}”" for each in data["event_types"])
    title = f"Waiting for {named}" if named else "Waiting"
    return Entry("waiting", title, f"At node “{data['node']}”, {until}.")


def _woken(data: JSON) -> Entry:
    where = f"At node “{data['node']}”."
    if data["by"] == "event":
        event = data["event"]
        late = ", which had come before the wait began" if data.get("matched_from") == "lookback" else ""
        late = ", which came while the run had failed" if data.get("matched_from") == "retry" else late
        return Entry(
            "resumed", f"The event “{event['event_type']}” arrived", f"Event {event['event_id']}{late}. {where}"
        )
    if data["by"] == "timer":
        return Entry("resumed", "The time was up", where)
    return Entry("resumed", f"Resumed by {data['by']}", where)


def _retimed(data: JSON) -> Entry:
    until = moment(_time(data["until"])) if data["until"] else "an open end"
    return Entry("waiting", "The wait was timed anew", f"At node “{data['node']}”, now until {until}.")


def _scheduled(data: JSON) -> Entry:
    return Entry("send", f"{_name(data['target'], data['node'])} is queued", "", node_type=data["target"])


def _effect_done(data: JSON) -> Entry:
    attempt = f"Attempt {data['attempt']}." if data.get("attempt") else ""
    return Entry("send", f"The side effect of “{data['node']}” succeeded", attempt)


def _effect_failed(data: JSON) -> Entry:
    what = "failed"
    if data.get("parked"):
        what = "is parked until an operator decides"
    elif not data.get("final"):
        what = "failed and is tried again"
    return Entry("failure", f"The side effect of “{data['node']}” {what}", _error(data.get("error")))


def _failed_node(data: JSON) -> Entry:
    return Entry("failure", f"{_name(data['type'], data['node'])} failed", _error(data["error"]))


def _failed(data: JSON) -> Entry:
    return Entry("failure", "The run failed", _error(data["error"]), data["error"].get("node_id"))


def _joined(data: JSON) -> Entry:
    if data["absorbed"]:
        return Entry("joined", f"Branches met at “{data['node']}”", "It had been reached already and runs once.")
    return Entry("joined", f"Waiting at the join “{data['node']}”", "Until the other branches arrive or end.")


def _goal(data: JSON) -> Entry:
    return Entry("goal", f"Reached the goal “{data['name']}”")


def _completed(data: JSON) -> Entry:
    return Entry("completed", "Completed the flow", f"Reason: {data['reason']}." if data["reason"] else "")


def _exited(data: JSON) -> Entry:
    kind = "operator" if data["reason"] == "cancelled_by_operator" else "exited"
    words = f" {data['detail']}" if data.get("detail") else ""
    return Entry(kind, "Left the flow before its end", f"Reason: {data['reason']}.{words}")


def _retried(data: JSON) -> Entry:
    again = (
        f"Node “{data['node']}” runs again, attempt {data['attempt']}." if data["node"] else "It goes on where it was."
    )
    return Entry("retry", "Retried", again)


def _paused(data: JSON) -> Entry:
    return Entry("operator", "Paused", data.get("reason") or "")


def _resumed(data: JSON) -> Entry:
    return Entry("operator", "Resumed after the pause", data.get("reason") or "")


def _migrated(data: JSON) -> Entry:
    return Entry("operator", f"Moved from version {data['from_version']} to version {data['to_version']}")


def _replaced(data: JSON) -> Entry:
    return Entry("waiting", "Entered again: the wait began anew", f"At node “{data['node']}”.")


def _rollback_begun(data: JSON) -> Entry:
    nodes = ", ".join(f"“{each['node']}”" for each in data["plan"])
    why = {"failure": "because the run failed", "operator": "as an operator asked"}.get(data["cause"]["by"], "")
    words = f" ({data['cause']['reason']})" if data["cause"].get("reason") else ""
    detail = f"To be undone, one after another: {nodes}." if nodes else "Nothing of it has to be undone."
    return Entry("compensation", f"The roll-back begins {why}{words}", detail)


def _undoing(data: JSON) -> Entry:
    return Entry("compensation", f"Undoing “{data['node']}”")


def _undone(data: JSON) -> Entry:
    return Entry(
        "compensation", f"Undid “{data['node']}”", f"Attempt {data['attempt']}." if data["attempt"] > 1 else ""
    )


def _not_undone(data: JSON) -> Entry:
    what = "waits for an operator" if data["parked"] else "is tried again"
    return Entry("failure", f"Undoing “{data['node']}” failed and {what}", _error(data["error"]))


def _rolled_back(data: JSON) -> Entry:
    return Entry("compensated", "Rolled back")


def _rollback_stuck(data: JSON) -> Entry:
    nodes = ", ".join(f"“{each}”" for each in data["left"])
    return Entry("failure", "The roll-back is stuck", f"{_error(data['error'])} Still to be undone: {nodes}.")


def _handed_over(data: JSON) -> Entry:
    return Entry("merged", "Goes on for another participant", f"Was {data['from']}, is {data['participant_id']}.")


def _anything(data: JSON) -> Entry:
    return Entry("other", "Something else was recorded")


_TELLERS: dict[str, Callable[[JSON], Entry]] = {
    "flow_started": _entered,
    "node_completed": _completed_node,
    "wait_started": _waiting,
    "wait_resolved": _woken,
    "wait_retimed": _retimed,
    "activity_scheduled": _scheduled,
    "activity_completed": _effect_done,
    "activity_failed": _effect_failed,
    "node_failed": _failed_node,
    "failed": _failed,
    "token_joined": _joined,
    "goal_reached": _goal,
    "completed": _completed,
    "exited": _exited,
    "retried": _retried,
    "paused": _paused,
    "resumed": _resumed,
    "migrated": _migrated,
    "entry_replaced": _replaced,
    "handed_over": _handed_over,
    "compensation_started": _rollback_begun,
    "compensation_scheduled": _undoing,
    "compensation_succeeded": _undone,
    "compensation_attempt_failed": _not_undone,
    "compensation_completed": _rolled_back,
    "compensation_failed": _rollback_stuck,
}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
