"""A rehearsal of each journey goes the way that its run goes."""

from __future__ import annotations

from typing import Any

import pytest

from engine.models import StoredEvent
from engine.ports import Preferences
from engine.rehearsal import rehearsing
from engine.rehearsal.plan import Choice, Happening, Plan
from marketing.models import Coupon, Delivery
from tests.journeys.ways import CONSENT, WAYS
from tests.journeys.world import Way

TAGGED = {"hunter": "discount_abusers", "complained": "suppressed_or_complained"}
IN_STOCK = {"in_stock": Choice(result={"response": {"all_available": True}})}
CHOSEN = {
    "sold-out": {"in_stock": Choice(result={"response": {"all_available": False}})},
    "capped": {"cap_email": Choice(branch="capped")},
    "bounced": {"ask_1": Choice(delivery="bounced")},
}


def plan_of(way: Way, now: Any) -> Plan:
    tags = way.profile.get("tags", [])
    known = {"email": f"{way.name}@example.com", "phone": "+4915112345678", "tags": tags}
    rest = {name: value for name, value in way.profile.items() if name in ("timezone", "properties")}
    return Plan(
        begins=now(),
        participant_id=way.name,
        profile={"external_id": way.name, "properties": {}, **known, **rest},
        preferences=Preferences(way.profile.get("preferences", {})),
        segments=frozenset(TAGGED[tag] for tag in tags),
        entry=way.entry,
        events=tuple(Happening(kind, data, after=after) for after, kind, data in way.events),
        choices=CHOSEN.get(way.name, IN_STOCK if "cart_id" in way.entry else {}),
    )


@pytest.mark.parametrize("name", WAYS)
def test_a_rehearsal_goes_where_the_run_goes(now, launched, name):
    version = launched(name).flow.active_version
    before = StoredEvent.objects.count()

    for way in WAYS[name]:
        told = rehearsing.rehearse(version, plan_of(way, now))

        came_through = [stop["node_id"] for stop in told["path"] if stop["status"] == "completed"]
        assert (came_through, (told["status"], told["exit_reason"])) == (way.nodes, way.end), way.name

    assert StoredEvent.objects.count() == before
    assert not Delivery.objects.exists()
    assert not Coupon.objects.exclude(participant_id="").exists()


def test_its_messages_are_those_that_would_be_sent(now, launched):
    version = launched("re-permission-consent").flow.active_version
    (slow,) = [way for way in CONSENT if way.name == "slow"]

    told = rehearsing.rehearse(version, plan_of(slow, now))

    assert [(each["node_id"], each["sent_at"][:13]) for each in told["messages"]] == [
        ("ask_1", "2030-01-02T09"),
        ("ask_2", "2030-01-12T09"),
        ("in_app", "2030-01-12T09"),
        ("thanks", "2030-01-21T12"),
    ]
