"""A real browser on a real web server. Without a browser these tests are skipped, unless one is required."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kalcifer.supervisor import Supervisor
from kalcifer.supervisor.options import ROLES
from tests.engine.conftest import flow_of, tenant

__all__ = ["flow_of", "tenant"]

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = f"No browser: none of {', '.join(NAMES)} is installed."
        if os.environ.get("KALCIFER_REQUIRE_BROWSER"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


# Playwright has a loop running on this thread as long as it lives; what Django opens meanwhile is closed with it.
@pytest.fixture
def browser(transactional_db: None, chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        connections.close_all()


@pytest.fixture
def web(real_workers: Callable[..., Supervisor]) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    real_workers(*ROLES, port=port)
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def page(browser: Browser, web: str, settings: Any) -> Iterator[Page]:
    """The admin's first page, as a superuser sees it; anything that the browser complains of fails the test."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    get_user_model().objects.create_superuser("ada", "ada@example.com", "lovelace")
    complaints: list[str] = []
    page = browser.new_page(base_url=web)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(f"{said.text} {said.location}") if said.type == "error" else None)
    page.goto("/admin/")
    page.fill("#id_username", "ada")
    page.fill("#id_password", "lovelace")
    page.click("input[type=submit]")
    expect(page.locator("#content h1")).to_have_text("Journeys, flows and what runs them")
    yield page
    assert complaints == []


def row_of(page: Page, text: str) -> Any:
    """The row of a list that holds a text."""
    return page.locator("#result_list tbody tr").filter(has_text=text)
