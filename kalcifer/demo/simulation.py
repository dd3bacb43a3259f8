"""Plays the people: they arrive, look where they stand, and act on what they see; all of it over HTTP."""

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from kalcifer.demo import customers, plan
from kalcifer.demo.api import Api, Refused
from kalcifer.demo.plan import Person
from kalcifer.demo.scripts import Act

JSON = dict[str, Any]
T = TypeVar("T")

LOOK_EVERY = 0.5
MAX_EVENTS = 1000
# Whoever is there already goes before whoever comes: nobody's decision waits for a queue at the door.
MOST_AT_ONCE = 50
PAGE = 500
LIVE = "running,waiting,paused"


@dataclass(slots=True)
class Sight:
    """What was seen at the last look, for the progress display."""

    arrived: Counter[str] = field(default_factory=Counter)
    live: Counter[str] = field(default_factory=Counter)
    places: dict[str, Counter[str]] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0


class Simulation:
    """All simulated people; `play` returns when every run has ended or time is up, and `found` says how each ended."""

    def __init__(self, api: Api, flows: dict[str, str], people: Sequence[Person], *, speed: float) -> None:
        self.found: dict[str, JSON] = {}
        self.twice: set[str] = set()
        self.sight = Sight()
        self._api = api
        self._flows = flows
        self._people = {person.participant_id: person for person in people}
        self._to_come = list(people)
        self._speed = speed
        self._planned: dict[tuple[str, int], tuple[float, Person, Act]] = {}
        self._sent: set[tuple[str, int]] = set()

    def play(self, *, seconds: float, ended: threading.Event, show: Callable[[Sight], None]) -> None:
        """Live through it."""
        began = time.monotonic()
        while not ended.is_set() and (passed := time.monotonic() - began) < seconds:
            self.sight.seconds = passed
            is_anybody_there = self._look()
            self._act()
            self._arrive(passed)
            show(self.sight)
            if not is_anybody_there and not self._to_come and self._all_have_ended():
                return
            ended.wait(max(0.05, LOOK_EVERY - (time.monotonic() - began - passed)))
        self._all_have_ended()

    def _arrive(self, passed: float) -> None:
        coming = [person for person in self._to_come if self._real(person.arrives) <= passed][:MOST_AT_ONCE]
        self._onboard(plan.of_flow(coming, "onboarding"))
        for person in plan.of_flow(coming, "order"):
            self._order(person)
        self._dun(plan.of_flow(coming, "dunning"))
        for flow, event_type in customers.EVENTS.items():
            self._send([_event(person, event_type, "came", person.entry) for person in plan.of_flow(coming, flow)])
        for flow, change in customers.CHANGES.items():
            for person in plan.of_flow(coming, flow):
                self._api.patch(f"/customers/{person.participant_id}", {"properties": change})
        self.sight.arrived.update(person.script.flow for person in coming)
        del self._to_come[: len(coming)]

    # An event starts whatever flow listens to it.
    def _onboard(self, people: Sequence[Person]) -> None:
        self._send([_event(person, "account.created", "created", person.entry) for person in people])

    def _order(self, person: Person) -> None:
        body = {"participant_id": person.participant_id, "context": person.entry}
        try:
            self._api.post(f"/flows/{self._flows['order']}/trigger", body, once=person.participant_id)
        except Refused as refused:
            if refused.status != 409:  # noqa: PLR2004  # conflict: it was started already
                raise

    def _dun(self, people: Sequence[Person]) -> None:
        for wave in _slices(people):
            ids = [person.participant_id for person in wave]
            body = {"participant_ids": ids, "context": {"currency": "EUR"}}
            once = hashlib.sha256(json.dumps(ids).encode()).hexdigest()
            self._api.post(f"/flows/{self._flows['dunning']}/trigger", body, once=once)

    def _look(self) -> bool:
        live: Counter[str] = Counter()
        places: dict[str, Counter[str]] = {flow: Counter() for flow in plan.FLOWS}
        for row in self._api.pages("/instances", status=LIVE, page_size=PAGE):
            person = self._people.get(row["participant_id"])
            if person is None:
                continue
            live[person.script.flow] += 1
            for token in row["current_nodes"]:
                places[person.script.flow][token["node_id"]] += 1
                if token["status"] == "waiting":
                    self._notice(person, token["node_id"])
        self.sight.live, self.sight.places = live, places
        return bool(live)

    def _notice(self, person: Person, node_id: str) -> None:
        occasion = person.act_at(node_id)
        if occasion is None:
            return
        number, act, pause = occasion
        key = person.participant_id, number
        if key not in self._sent and key not in self._planned:
            self._planned[key] = time.monotonic() + self._real(pause), person, act

    def _act(self) -> None:
        now = time.monotonic()
        due = {key: act for key, act in self._planned.items() if act[0] <= now}
        self._send([
            _event(person, act.event_type, str(number), {**_cart_of(person), **act.data})
            for (_, number), (_, person, act) in due.items()
        ])  # fmt: skip
        for key in due:
            del self._planned[key]
            self._sent.add(key)
        self.sight.events = len(self._sent)

    # The ids make it safe to send a batch again.
    def _send(self, events: Sequence[JSON]) -> None:
        for some in _slices(events):
            answer = self._api.post("/events/batch", {"events": some})
            if answer["errors"]:
                raise ValueError(f"Events were refused: {answer['errors'][:3]}")

    # Newest first: behind the last of ours come those of earlier demos.
    def _all_have_ended(self) -> bool:
        self.twice.clear()
        for flow, flow_id in self._flows.items():
            missing = {person.participant_id for person in plan.of_flow(self._people.values(), flow)}
            for row in self._api.pages(f"/flows/{flow_id}/instances", page_size=PAGE) if missing else ():
                participant = row["participant_id"]
                if participant in missing:
                    self.found[participant] = row
                    missing.discard(participant)
                elif participant in self._people:
                    self.twice.add(participant)
                elif not missing:
                    break
        ended = [row for row in self.found.values() if row["status"] not in LIVE.split(",")]
        return len(ended) == len(self._people)

    def _real(self, engine_time: timedelta) -> float:
        return engine_time.total_seconds() / self._speed


# Whatever somebody does about a cart names it.
def _cart_of(person: Person) -> JSON:
    return {name: person.entry[name] for name in ("cart_id",) if name in person.entry}


def _slices(rows: Sequence[T]) -> Iterator[list[T]]:
    for start in range(0, len(rows), MAX_EVENTS):
        yield list(rows[start : start + MAX_EVENTS])


def _event(person: Person, event_type: str, name: str, data: JSON) -> JSON:
    return {
        "participant_id": person.participant_id,
        "event_type": event_type,
        "event_id": f"{person.participant_id}:{name}",
        "data": data,
    }
