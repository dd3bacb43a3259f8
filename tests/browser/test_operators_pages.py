"""What an operator does at three in the morning, with a mouse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import engine
from flows.models import Flow, FlowInstance
from tests.browser.conftest import row_of
from tests.support.graphs import ENTRY, graph
from tests.support.passage import run_until_idle

pytestmark = pytest.mark.processes

WAITING: dict[str, tuple[Any, ...]] = {
    "entry": (*ENTRY, {None: "pause"}),
    "pause": ("wait", {"duration": "3d"}, {None: "done"}),
    "done": ("exit", {"reason": "through"}),
}


@pytest.fixture
def run(flow_of: Callable[..., Flow]) -> FlowInstance:
    """Grace, waiting in the middle of a flow."""
    found = engine.start(flow_of(graph(WAITING), name="Onboarding"), "grace")
    run_until_idle()
    return found


def open_run(page: Page, run: FlowInstance) -> None:
    page.goto("/admin/flows/flowinstance/")
    row_of(page, "grace").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(str(run.pk)))


def test_a_stuck_run_is_understood_paused_and_let_go(page: Page, run: FlowInstance) -> None:
    open_run(page, run)
    expect(page.locator("body")).to_contain_text("Why it stands here")
    expect(page.locator("body")).to_contain_text("waiting")

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".messagelist .success")).to_have_text("It stands still until it is resumed.")
    run.refresh_from_db()
    assert run.status == "paused"

    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.locator(".messagelist .success")).to_contain_text("It goes on")
    run.refresh_from_db()
    assert run.status == "waiting"

    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".messagelist .success")).to_have_text("It has ended here.")
    expect(page.get_by_role("button", name="Pause", exact=True)).to_have_count(0)
    run.refresh_from_db()
    assert (run.status, run.exit_reason) == ("exited", "cancelled_by_operator")


def test_many_runs_are_cancelled_at_once_with_a_reason(page: Page, run: FlowInstance) -> None:
    page.goto("/admin/flows/flowinstance/")
    row_of(page, "grace").locator("input.action-select").check()
    page.select_option("select[name=action]", "cancel")
    page.fill("input[name=reason]", "wrong audience")
    page.locator("button[name=index]").click()

    expect(page.locator(".messagelist .success")).to_contain_text("Done: cancel, 1 of 1.")
    run.refresh_from_db()
    assert run.status == "exited"


def test_every_list_opens_without_a_complaint(page: Page, run: FlowInstance) -> None:
    page.goto("/admin/")
    addresses = page.locator("#content a.changelink, #content th a").evaluate_all("links => links.map(a => a.href)")
    lists = sorted({each for each in addresses if each.count("/admin/") == 1 and not each.endswith("/add/")})

    assert len(lists) > 15
    for address in lists:
        page.goto(address)
        expect(page.locator("#content h1")).to_be_visible()
