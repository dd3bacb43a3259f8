"""The post of the demo: customers are introduced, read their mail, and what they were sent is held against the plan."""

import json
import secrets
import threading
import uuid
import zlib
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import httpx

from engine import signatures
from engine.execution import holdout
from kalcifer.demo import customers
from kalcifer.demo.api import Api, Refused
from kalcifer.demo.plan import Person
from kalcifer.demo.sample import loading
from marketing.channels import editing
from marketing.models import Channel
from tenants.models import Tenant

JSON = dict[str, Any]

LOOK_EVERY = 2.0
PAGE = 500
OPENERS, CLICKERS = 60, 25
ARRIVED = ("sent", "delivered", "opened", "clicked")


def introduce(api: Api, people: Sequence[Person]) -> None:
    """Have everybody known before they do anything."""
    for person in people:
        if person.is_customer:
            api.put(f"/customers/{person.participant_id}", person.profile)


@dataclass(slots=True)
class Readers:
    """A thread in which mails are opened and links clicked, told as providers tell it: signed, over HTTP."""

    api: Api
    tenant: Tenant
    opened: int = 0
    clicked: int = 0
    _told: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _secret: str = field(default_factory=lambda: f"whsec_{b64encode(secrets.token_bytes(24)).decode()}", repr=False)

    def __enter__(self) -> Self:
        channel = Channel.objects.for_tenant(self.tenant).get(channel="email", provider="log")
        editing.change(channel, {"credentials": {"callback_secret": self._secret}})
        self._thread = threading.Thread(target=self._read, args=(str(channel.pk),), name="readers", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _read(self, channel_id: str) -> None:
        while not self._over.wait(LOOK_EVERY):
            try:
                page = self.api.get("/deliveries", status="sent", channel="email", page_size=PAGE)
                if reports := [report for row in page["results"] for report in self._reports(row["id"])]:
                    self._tell(channel_id, reports)
            except (Refused, httpx.TransportError):
                continue  # what was not told now is told at the next look

    def _reports(self, delivery_id: str) -> list[JSON]:
        if delivery_id in self._told:
            return []
        mood = zlib.crc32(delivery_id.encode()) % 100
        reached = ["delivered", *["opened"] * (mood < OPENERS), *["clicked"] * (mood < CLICKERS)]
        return [{"delivery_id": delivery_id, "status": status} for status in reached]

    def _tell(self, channel_id: str, reports: list[JSON]) -> None:
        for start in range(0, len(reports), PAGE):
            some = reports[start : start + PAGE]
            body = json.dumps(some).encode()
            headers = signatures.sign(
                "standard", self._secret, body, message_id=str(uuid.uuid4()), now=datetime.now(UTC)
            )
            self.api.deliver(f"/webhooks/providers/{channel_id}", body, headers)
            self._told.update(report["delivery_id"] for report in some)
            said = Counter(report["status"] for report in some)
            self.opened += said["opened"]
            self.clicked += said["clicked"]


def sent(
    api: Api, flows: Mapping[str, str], people: Sequence[Person], *, seconds: float, ended: threading.Event
) -> dict[str, JSON]:
    """Wait until every message to them has gone out or been dropped; give them by their ids."""
    ours, found, passed = {person.participant_id for person in people}, {}, 0.0
    while True:
        found = {
            row["id"]: row
            for name in loading.JOURNEYS
            for row in api.pages("/deliveries", flow_id=flows[name], page_size=PAGE)
            if row["participant_id"] in ours
        }
        if passed >= seconds or not any(row["status"] in {"queued", "claimed"} for row in found.values()):
            return found
        passed += LOOK_EVERY
        if ended.wait(LOOK_EVERY):
            return found


def differences(people: Sequence[Person], flows: Mapping[str, str], found: Mapping[str, JSON]) -> list[str]:
    """Messages that were lost, doubled, not wanted or not sent."""
    got: dict[str, Counter[str]] = {}
    problems = []
    for row in found.values():
        name = _name_of(row)
        got.setdefault(row["participant_id"], Counter())[name] += row["status"] in ARRIVED
        if row["status"] not in {*ARRIVED, "cancelled"}:
            problems.append(f"{row['participant_id']}: {name} is {row['status']} ({row['reason']})")
    for person in people:
        if person.is_customer:
            wanted = Counter[str](() if is_kept_out(person, flows) else person.script.messages)
            problems += _differences(person, got.get(person.participant_id, Counter()), wanted)
    return problems


def lines(people: Sequence[Person], flows: Mapping[str, str], found: Mapping[str, JSON]) -> dict[str, tuple[int, int]]:
    """How many messages there had to be and were, by journey and message; of whoever left early, those there were."""
    of = {person.participant_id: person for person in people if person.is_customer}
    expected, actual = Counter[str](), Counter[str]()
    for person in of.values():
        if person.script.status != "exited" and not is_kept_out(person, flows):
            expected.update(f"{person.script.flow}: {name}" for name in person.script.messages)
    for row in found.values():
        person = of[row["participant_id"]]
        if row["status"] in ARRIVED:
            name = f"{person.script.flow}: {_name_of(row)}"
            actual[name] += 1
            expected[name] += person.script.status == "exited"
    return {name: (expected[name], actual[name]) for name in sorted({*expected, *actual})}


def is_kept_out(person: Person, flows: Mapping[str, str]) -> bool:
    """Whether somebody is of those who are left alone, to compare with."""
    percent = loading.graph(person.script.flow)["settings"].get("holdout_percent", 0) if person.is_customer else 0
    return holdout.is_in(flows[person.script.flow], person.participant_id, percent) if percent else False


def _name_of(row: JSON) -> str:
    node_id: str = row["node_id"]
    return customers.SAME.get(node_id, node_id)


# Who ends a run from outside takes back what has not gone out yet.
def _differences(person: Person, got: Counter[str], wanted: Counter[str]) -> list[str]:
    least = Counter[str]() if person.script.status == "exited" else wanted
    return [
        f"{person.participant_id}: {name} was sent {got[name]} times instead of {wanted[name]}"
        for name in sorted({*wanted, *got})
        if not least[name] <= got[name] <= wanted[name]
    ]
