"""What the journeys name, and people who go through them by the fake clock."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine import clock, event_router, publish_event, timers
from engine.execution import loop
from engine.models import StoredEvent, Timer
from engine.nodes import registry
from engine.ports import HttpResponse, Nobody
from flows.models import FlowInstance
from marketing.coupons import pools
from marketing.customers import profiles
from marketing.models import CouponPool, Topic
from marketing.segments import catalog, due
from marketing.templates import store
from tenants.models import Secret, Tenant
from tenants.vault import encrypt
from tests.marketing.deliveries.conftest import hand_over, open_channel

JSON = dict[str, Any]

FOLDER = Path(__file__).parent
PARTS = {
    "email": {"subject": "Subject", "text": "Text"},
    "sms": {"text": "Text"},
    "push": {"title": "Title"},
    "whatsapp": {"text": "Text"},
    "in_app": {"title": "Title"},
}
RULES: JSON = {
    "consent_expires_within_60d": {"path": "participant.consent_days", "op": "lte", "value": 60},
    "suppressed_or_complained": {"path": "participant.tags", "op": "contains", "value": "complained"},
    "discount_abusers": {"path": "participant.tags", "op": "contains", "value": "hunter"},
}


@dataclass(frozen=True)
class Way:
    """A participant, what they do and when, and the nodes that they come through."""

    name: str
    path: str
    end: tuple[str, str]
    events: Sequence[tuple[timedelta, str, JSON]] = ()
    profile: JSON = field(default_factory=dict)
    entry: JSON = field(default_factory=dict)

    @property
    def nodes(self) -> list[str]:
        return self.path.split()


class Shop(Nobody):
    """Other people's systems: who is out of stock says so."""

    def call(self, request: Any) -> HttpResponse:
        body = json.loads(request.body or b"{}")
        return HttpResponse(200, json.dumps({"all_available": body.get("cart_id") != "sold-out"}).encode())


def read(name: str) -> JSON:
    return dict(json.loads((FOLDER / f"{name}.json").read_text()))


def furnish(tenant: Tenant, graph: JSON) -> None:
    """Make whatever the graph names."""
    now = clock.now()
    wanted: dict[str, dict[str, str]] = {}
    for node in graph["nodes"]:
        kind, config = registry.get(node["type"]), registry.parse_config(node["type"], node["config"])
        for found in kind.references_of(config):
            wanted.setdefault(found.kind, {})[found.name] = node["type"].removeprefix("send_")
    for slug in wanted.get("topic", ()):
        Topic.objects.create(tenant=tenant, slug=slug, name=slug, created_at=now)
    for slug, channel in wanted.get("template", {}).items():
        store.create(tenant, slug, channel=channel, parts=PARTS[channel], name=slug)
    for slug in wanted.get("segment", ()):
        catalog.create(tenant, {"slug": slug, "rule": RULES[slug]})
    for slug in wanted.get("coupon pool", ()):
        pools.add(CouponPool.objects.create(tenant=tenant, slug=slug, created_at=now), [f"code-{n}" for n in range(9)])
    for name in wanted.get("secret", ()):
        Secret.objects.create(tenant=tenant, name=name, ciphertext=encrypt("s3cret"))
    for channel in ("email", "sms", "push", "whatsapp"):
        open_channel(tenant, channel, "post", now)


def settle() -> None:
    """Let everything happen that can happen at this moment."""
    while True:
        went = [due.run(5.0), event_router.route(), timers.wake_due(), loop.advance(slice_s=5.0), hand_over()]
        if not any(went):
            return


def play(tenant: Tenant, ways: Sequence[Way], now: Any, *, entry: str, until: timedelta) -> None:
    """Have all of them enter and do what they do, each at its moment, until so long after."""
    begins: datetime = now()
    for way in ways:
        profiles.create(tenant, way.name, {"email": f"{way.name}@example.com", "phone": "+4915112345678"} | way.profile)
        if entry:
            publish_event(way.name, entry, data=way.entry, tenant=tenant)
    settle()
    agenda = sorted((begins + after, way.name, kind, data) for way in ways for after, kind, data in way.events)
    for moment in _moments(agenda, begins + until):
        now.move_to(moment)
        while agenda and agenda[0][0] <= moment:
            _, who, kind, data = agenda.pop(0)
            publish_event(who, kind, data=data, tenant=tenant)
        settle()


def told(ways: Sequence[Way]) -> dict[str, tuple[list[str], tuple[str, str]]]:
    """Where each came through, and how it ended."""
    found = {}
    for way in ways:
        run = FlowInstance.objects.get(participant_id=way.name)
        events = StoredEvent.objects.filter(aggregate_id=run.pk, type="node_completed").order_by("sequence")
        found[way.name] = ([event.data["node"] for event in events], (run.status, run.exit_reason))
    return found


def untrodden(graph: JSON, ways: Sequence[Way]) -> set[tuple[str, str]]:
    """The edges that nobody takes."""
    steps = {pair for way in ways for pair in zip(way.nodes, way.nodes[1:], strict=False)}
    return {(edge["source"], edge["target"]) for edge in graph["edges"]} - steps


# Whatever comes next: a planned event, or a timer that has been set meanwhile.
def _moments(agenda: list[Any], end: datetime) -> Iterator[datetime]:
    while True:
        timer = Timer.objects.order_by("due_at").values_list("due_at", flat=True).first()
        coming = [moment for moment in (timer, agenda[0][0] if agenda else None) if moment is not None]
        if not coming or min(coming) > end:
            return
        yield max(min(coming), clock.now())
