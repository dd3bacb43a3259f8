"""Workers killed while they hand messages over: nobody is written to twice, and nothing stays behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import clock, triggers
from engine.models import Activity
from flows.models import Flow
from kalcifer.supervisor import Supervisor
from marketing.channels import accounts, registry
from marketing.models import Channel, Customer, Delivery
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph
from tests.support.hostile import ledger
from tests.support.processes import wait_for

pytestmark = pytest.mark.processes

PEOPLE = 200
MAIL = {"content": {"subject": "Hi", "text": "Hello {{ participant.name }}"}}
GRAPH = {"entry": (*ENTRY, {None: "mail"}), "mail": ("send_email", MAIL, {None: "done"}), "done": ("exit", {})}


@pytest.fixture
def people(tenant: Tenant) -> Iterator[list[str]]:
    now = clock.now()
    names = [f"p{number}" for number in range(PEOPLE)]
    Customer.objects.bulk_create(
        Customer(tenant=tenant, external_id=name, name=name, email=f"{name}@b.de", created_at=now, updated_at=now)
        for name in names
    )
    with registry.preserved():
        ledger.register()
        Channel.objects.create(
            tenant=tenant, name="mail", channel="email", provider="ledger", is_default=True, created_at=now,
            updated_at=now,
        )  # fmt: skip
        accounts.forget()
        yield names
    accounts.forget()


def test_workers_are_killed_while_they_send(
    flow_of: Callable[..., Flow], workers: Callable[..., Supervisor], trace: Path, people: list[str]
) -> None:
    def written() -> list[str]:
        return trace.read_text().split() if trace.exists() else []

    running = workers("advance", "activities", "sweeper")
    triggers.start_many(flow_of(graph(GRAPH)), people)

    for share in (10, 60):
        wait_for(lambda share=share: len(written()) > share, seconds=30, what="some messages")
        running.kill("activities", "sweeper")

    on_their_way = Delivery.objects.filter(status__in=("queued", "claimed"))
    wait_for(lambda: Delivery.objects.count() == PEOPLE and not on_their_way.exists(), seconds=60, what="an end")
    found = Counter(Delivery.objects.values_list("status", flat=True))
    sent = Delivery.objects.filter(status="sent").values_list("pk", flat=True)
    assert set(found) <= {"sent", "unknown"}
    assert found["sent"] >= PEOPLE - 40
    assert Counter(written()).most_common(1)[0][1] == 1
    assert {str(key) for key in sent} <= set(written())
    wait_for(lambda: not Activity.objects.filter(status__in=("pending", "running")).exists(), seconds=60, what="rest")
