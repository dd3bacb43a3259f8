"""What a rehearsal tells: the path with its moments, and everything that would have been done."""

from __future__ import annotations

from typing import Any

from engine import ports
from engine.event_store.events import Event
from engine.execution.program import Program
from engine.moments import iso
from engine.rehearsal.rehearser import Effect
from engine.rehearsal.stage import Heard, Stage

JSON = dict[str, Any]

ENDED = ("completed", "exited", "failed")


def of(stage: Stage, program: Program, refusal: str | None) -> JSON:
    """Tell a rehearsal; `refusal` says why there was nothing to rehearse."""
    state, events = stage.burst.state, [event for event, _ in stage.burst.events]
    return {
        "status": "refused" if refusal else state.status,
        "exit_reason": refusal or state.exit_reason or None,
        "error": state.error,
        "began_at": iso(stage.plan.begins),
        "ended_at": next((iso(each.at) for each in events if each.type in ENDED), None),
        "path": [] if refusal else _Path(stage, program).told(events),
        "messages": stage.messages,
        "conversions": _conversions(events),
        "profile_changes": [_change(each) for each in stage.rehearser.effects if _is_change(each)],
        "participant": stage.rehearser.step.participant,
        "events": [_event(each) for each in stage.heard],
    }


def warnings_of(stage: Stage) -> list[JSON]:
    """What whoever rehearses should know of how it went."""
    found = []
    if stage.halted:
        found.append(_warning("halted", stage.halted))
    for node_id in stage.parked:
        detail = f"`{node_id}` fails and has no on_failure: the run would wait for an operator."
        found.append(_warning("parked", detail, node_id))
    visited = {each["node_id"] for each in stage.burst.state.tokens.values()} | stage.burst.state.outcomes.keys()
    found += [
        _warning("choice_unused", f"The run did not come to `{node_id}`.", node_id)
        for node_id in sorted(stage.plan.choices.keys() - visited)
    ]
    for each in stage.heard:
        if each.at is None:
            where = each.happening.node_id
            detail = f"`{each.happening.event_type}` did not come: nobody waited at `{where}`."
            found.append(_warning("event_unused", detail, where))
    return found


class _Path:
    """The nodes in the order in which the run came to them."""

    def __init__(self, stage: Stage, program: Program) -> None:
        self._stage, self._program = stage, program
        self._stops: dict[str, JSON] = {}

    def told(self, events: list[Event]) -> list[JSON]:
        state = self._stage.burst.state
        for event in events:
            self._take(event)
        over = state.status in ENDED
        for stop in self._stops.values():
            if stop["status"] is None:
                token = state.tokens.get(stop["node_id"])
                stop["status"] = "cancelled" if token is None and over else (token or stop)["status"]
                if stop["node_id"] in self._stage.parked:
                    stop["status"] = "parked"
        return list(self._stops.values())

    def _take(self, event: Event) -> None:
        data, at = event.data, iso(event.at)
        match event.type:
            case "flow_started":
                self._arrive(data["entry_node"], at)
            case "node_completed":
                stop = self._stops[data["node"]]
                # What failed and was let go on is told as failed.
                stop.update(status=stop["status"] or "completed", branch=data["branch"], result=data["result"])
                stop["left_at"] = at
                for node_id in data["next"]:
                    self._arrive(node_id, at)
            case "node_failed":
                self._stops[data["node"]].update(status="failed", left_at=at, error=data["error"])
            case "wait_started":
                wait = {"until": data["until"], "event_types": data["event_types"], "resolved_by": None, "event": None}
                self._stops[data["node"]]["wait"] = wait
            case "wait_resolved":
                came = data.get("event")
                told = {
                    "resolved_by": data["by"],
                    "event": came and {name: came[name] for name in ("event_type", "data")},
                }
                self._stops[data["node"]]["wait"].update(told)
            case "activity_scheduled":
                self._stops[data["node"]]["called"] = data["input"]

    def _arrive(self, node_id: str, at: str) -> None:
        compiled = self._program.nodes[node_id]
        self._stops[node_id] = {
            "node_id": node_id,
            "node_type": compiled.type,
            "title": compiled.node.title if compiled.node else compiled.type,
            "status": None,
            "arrived_at": at,
            "left_at": None,
            "branch": None,
            "result": None,
            "error": None,
            "wait": None,
            "called": None,
        }


# A goal that a node or an event reached; once per name, when it was first, with all that was said of it.
def _conversions(events: list[Event]) -> list[JSON]:
    found: dict[str, JSON] = {}
    for event in events:
        if event.type == "goal_reached":
            data = event.data
            by = data["node"] or data["event"]["event_type"]
            told = found.setdefault(data["name"], {"name": data["name"], "at": iso(event.at), "by": by, "facts": {}})
            told["facts"] = {**told["facts"], **data.get("facts", {})}
    return list(found.values())


def _is_change(each: Effect) -> bool:
    return isinstance(each.effect, ports.ProfileChange)


def _change(each: Effect) -> JSON:
    change = each.effect
    return {
        "node_id": each.node_id,
        "at": iso(each.at),
        "fields": change.fields,
        "add_tags": list(change.add_tags),
        "remove_tags": list(change.remove_tags),
    }


def _event(heard: Heard) -> JSON:
    return {
        "event_type": heard.happening.event_type,
        "at": None if heard.at is None else iso(heard.at),
        "effects": [{name: each.get(name) for name in ("kind", "code", "node_id")} for each in heard.effects],
    }


def _warning(code: str, detail: str, node_id: str | None = None) -> JSON:
    return {"code": code, "detail": detail, "attr": None, "node_id": node_id}
