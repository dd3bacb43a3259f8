"""Flows with caps, and the messages that they send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine import clock
from flows.models import Flow
from marketing.models import Channel
from tenants.models import Tenant
from tests.support.graphs import ENTRY, graph

HELLO = {"content": {"subject": "Hi", "text": "Hello"}}
TEXT = {"content": {"text": "Hello"}}


@pytest.fixture(autouse=True)
def channels(tenant: Tenant) -> None:
    """The tenant can send by e-mail and SMS."""
    can_send(tenant, "email", "sms")


def can_send(tenant: Tenant, *channels: str) -> None:
    """Give the tenant a provider for these channels."""
    at = {"created_at": clock.now(), "updated_at": clock.now()}
    for channel in channels:
        Channel.objects.create(tenant=tenant, name=channel, channel=channel, provider="log", is_default=True, **at)


Nodes = dict[str, tuple[Any, ...]]


def capped(cap: dict[str, Any], send: str = "send_email", *, pause: str = "") -> Nodes:
    """A cap, perhaps a wait, a message."""
    nodes: Nodes = {
        "entry": (*ENTRY, {None: "cap"}),
        "cap": ("frequency_cap", cap, {"allowed": "pause" if pause else "send", "capped": "left_out"}),
        "send": (send, HELLO if send == "send_email" else TEXT, {None: "after"}),
        "after": ("wait", {"duration": "30d"}, {None: "done"}),
        "done": ("exit", {}),
        "left_out": ("exit", {"reason": "capped"}),
    }
    return nodes | ({"pause": ("wait", {"duration": pause}, {None: "send"})} if pause else {})


@pytest.fixture
def flow_with(flow_of: Callable[..., Flow]) -> Callable[..., Flow]:
    """Make an active flow of nodes."""
    made = iter(range(1_000))

    def make(nodes: Nodes, **settings: Any) -> Flow:
        return flow_of(graph(nodes, **settings), name=f"flow {next(made)}")

    return make
