"""What operators see of messages, conversions and experiments."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from engine import clock
from marketing.models import Conversion, Delivery, Tally
from tests.support.graphs import ENTRY, graph
from tests.support.passage import Passage
from tests.support.raw_counts import catch_up

SPLITTING = {
    "entry": (*ENTRY, {None: "split"}),
    "split": ("ab_split", {"variants": [{"key": "crimson", "weight": 1}]}, {"crimson": "count"}),
    "count": ("track_conversion", {"event_name": "bought", "revenue": "1234.50", "currency": "EUR"}, {None: "end"}),
    "end": ("exit", {}),
}


@pytest.fixture
def operator(client: Client, transactional_db: None) -> Client:
    client.force_login(get_user_model().objects.create_superuser("olga"))
    return client


@pytest.fixture
def run(passage: Callable[..., Passage]) -> Passage:
    ada = passage(graph(SPLITTING)).start()
    Delivery.objects.create(
        tenant_id=ada.flow.tenant_id, flow_id=ada.flow.pk, instance_id=ada.id, node_id="hello", key=str(uuid4()),
        participant_id="ada", channel="email", status="opened", created_at=clock.now(), sent_at=clock.now(),
    )  # fmt: skip
    catch_up()
    return ada


def test_a_flows_page_shows_messages_goals_and_variants(operator: Client, run: Passage) -> None:
    page = operator.get(reverse("admin:flows_flow_change", args=(run.flow.pk,))).content.decode()

    assert "<td>hello</td><td>email</td><td>1</td><td>1</td>" in page
    assert "<td>bought</td><td>1</td>" in page
    assert "<td>1234.5 EUR</td><td>0</td></tr>" in page
    assert "<td>split</td><td>crimson</td><td>1</td><td>1</td>" in page


def test_conversions_and_tallies_are_looked_at(operator: Client, run: Passage) -> None:
    found = Conversion.objects.get()

    listed = operator.get(reverse("admin:marketing_conversion_changelist"), {"q": str(run.id)}).content.decode()
    shown = operator.get(reverse("admin:marketing_conversion_change", args=(found.pk,))).content.decode()
    counted = operator.get(reverse("admin:marketing_tally_changelist"), {"q": str(run.flow.pk)}).content.decode()

    assert "bought" in listed
    assert "EUR" in shown
    assert all(each.kind in counted for each in Tally.objects.all())
