"""What a marketer does on a Monday morning, with a mouse."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from engine import clock
from flows.models import Flow, FlowInstance
from marketing.models import Customer, Journey, Segment, SegmentMember
from tenants.models import Tenant
from tests.browser.conftest import row_of
from tests.support.graphs import graph
from tests.support.processes import wait_for

pytestmark = pytest.mark.processes

WELCOME = graph(
    {
        "in": ("segment_entry", {"segment_id": "beta"}, {None: "pause"}),
        "pause": ("wait", {"duration": "3d"}, {None: "done"}),
        "done": ("exit", {"reason": "through"}),
    }
)


@pytest.fixture
def beta(tenant: Tenant) -> Segment:
    """A segment of three customers."""
    now = clock.now()
    facts = {"tenant": tenant, "created_at": now, "updated_at": now}
    segment = Segment.objects.create(slug="beta", name="Beta testers", type="static", member_count=3, **facts)
    for name in ("ada", "bob", "eve"):
        customer = Customer.objects.create(external_id=name, **facts)
        SegmentMember.objects.create(tenant=tenant, segment=segment, customer=customer, since=now)
    return segment


def look(page: Page, name: str) -> None:
    """Keep a picture where somebody wants to see one."""
    if folder := os.environ.get("KALCIFER_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_a_journey_is_made_and_launched(page: Page, flow_of: Callable[..., Flow], beta: Segment) -> None:
    flow = flow_of(WELCOME, name="Welcome")
    page.goto("/admin/marketing/journey/add/")
    for field, text in (("tenant", "Acme"), ("flow", "Welcome")):
        page.locator(f".field-{field} .select2-selection").click()
        page.locator(".select2-search__field").fill(text)
        page.locator(".select2-results__option--highlighted").filter(has_text=text).click()
    page.fill("#id_name", "Welcome, testers")
    page.fill("#id_segment", "betta")
    page.fill("#id_goal", '{"name": "stayed", "event_type": "renewed"}')
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator(".field-segment .errorlist")).to_have_text("There is no segment `betta`.")
    page.fill("#id_segment", "beta")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.locator(".messagelist .success")).to_contain_text("Welcome, testers")
    expect(page.locator(".field-audience_size")).to_contain_text("3 in Beta testers")

    page.get_by_role("button", name="Launch, and let the audience in").click()
    expect(page.locator(".messagelist .success")).to_contain_text("a job lets 3 members of the audience in")
    wait_for(lambda: FlowInstance.objects.filter(flow=flow, status="waiting").count() == 3, seconds=30, what="all in")
    wait_for(lambda: _entered(page) == 3, seconds=30, what="the figures")
    look(page, "journey")

    page.once("dialog", lambda question: question.dismiss())
    page.get_by_role("button", name="Archive").click()
    expect(page.locator(".field-status")).to_contain_text("Active")
    page.goto("/admin/marketing/journey/")
    expect(row_of(page, "Welcome, testers")).to_contain_text("Active")
    look(page, "journeys")
    assert Journey.objects.get().status == "active"


def _entered(page: Page) -> int:
    page.reload()
    return int((page.locator(".field-figures .readonly").inner_text()).split()[0])
