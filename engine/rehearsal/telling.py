"""A rehearsal in words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from engine import wording

JSON = dict[str, Any]


def summary(told: JSON) -> str:
    """Say in a sentence how it went."""
    if told["status"] == "refused":
        return f"The flow would not have begun: {told['exit_reason']}."
    if told["ended_at"] is None:
        places = [stop["node_id"] for stop in told["path"] if stop["left_at"] is None]
        return f"It is {told['status']} at {', '.join(places)}: nothing that was planned moves it on."
    lasted = wording.ago(_moment(told["began_at"]), _moment(told["ended_at"]))
    why = told["exit_reason"] or (told["error"] or {}).get("detail")
    return f"It {_VERBS[told['status']]} after {lasted}{f': {why}' if why else ''}."


def parts(told: JSON) -> dict[str, list[JSON]]:
    """Give the parts of a rehearsal with their moments as an operator reads them."""
    return {
        "stops": [stop(each) for each in told["path"]],
        "letters": [{**each, "history": _timed(each["history"])} for each in told["messages"]],
        "conversions": _timed(told["conversions"]),
        "changes": _timed(told["profile_changes"]),
        "events": _timed(told["events"]),
    }


def stop(each: JSON) -> JSON:
    """Give a stop of the path with a line on what happened there."""
    said = []
    if wait := each["wait"]:
        until = wording.moment(_moment(wait["until"])) if wait["until"] else "whenever"
        said.append(f"waited for {' or '.join(wait['event_types']) or 'the time'} until {until}")
        if wait["resolved_by"]:
            by = wait["event"]["event_type"] if wait["event"] else wait["resolved_by"]
            said.append(f"went on by {by}")
    if each["branch"]:
        said.append(f"took {each['branch']}")
    if each["error"]:
        said.append(f"{each['error']['code']}: {each['error']['detail']}")
    return {
        **each,
        "arrived": wording.moment(_moment(each["arrived_at"])),
        "said": "; ".join(said),
        "data": _pretty({name: each[name] for name in ("called", "result") if each[name]}),
    }


_VERBS = {"completed": "completes", "exited": "exits", "failed": "fails"}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _timed(several: list[JSON]) -> list[JSON]:
    return [{**each, "at": each["at"] and wording.moment(_moment(each["at"]))} for each in several]


def _pretty(value: JSON) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() if value else ""
