"""The language of the tests of sends: a provider that does as it is told, and hands that send what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from engine.activity_worker import ActivityWorker
from engine.execution import loop
from engine.models import Activity
from marketing.channels import accounts, registry
from marketing.channels.provider import Accepted, InvalidSignature, Outgoing, Settings
from marketing.models import Channel, Delivery
from tests.marketing.conftest import *  # noqa: F403 - the same language, and more


class Post:
    """A provider that keeps what it is given and answers what the test says."""

    name: ClassVar[str] = "post"
    title: ClassVar[str] = "Post"
    channels: ClassVar[frozenset[str]] = frozenset({"email", "sms", "push", "whatsapp"})
    takes_keys: ClassVar[bool] = True
    Config: ClassVar[type[Settings]] = Settings
    Credentials: ClassVar[type[Settings]] = Settings

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.calls: list[int] = []
        self.answer: Callable[[Outgoing], Any] = lambda message: Accepted(f"post-{message.delivery_id}")

    def send_many(self, account: Any, messages: Any) -> Any:
        self.calls.append(len(messages))
        self.sent += messages
        return [self.answer(message) for message in messages]

    def read_callback(self, account: Any, callback: Any) -> Any:
        raise InvalidSignature("nobody calls back")


class Careful(Post):
    """One that takes no keys: what it may have is not sent again."""

    name = "careful"
    takes_keys = False


@pytest.fixture
def post(tenant, now) -> Iterator[Post]:
    with registry.preserved():
        registry.register(Post)
        registry.register(Careful)
        for channel in ("email", "sms", "push", "whatsapp"):
            open_channel(tenant, channel, "post", now())
        yield registry.get("post")
    accounts.forget()


def open_channel(tenant: Any, channel: str, provider: str, at: Any, **facts: Any) -> Channel:
    Channel.objects.for_tenant(tenant).filter(channel=channel).update(is_default=False)
    given = {"channel": channel, "provider": provider, "is_default": True, "created_at": at, "updated_at": at}
    made, _ = Channel.objects.update_or_create(tenant=tenant, name=f"{provider}-{channel}", defaults=given | facts)
    accounts.forget()
    return made


def send(type_: str = "send_email", **config: Any) -> tuple[str, dict[str, Any]]:
    given = {
        "send_email": {"subject": "Hi", "text": "Hello {{ participant.name | default: 'you' }}"},
        "send_sms": {"text": "Hi"},
    }
    given |= {"send_push": {"title": "Hi"}, "send_whatsapp": {"text": "Hi"}, "send_in_app": {"title": "Hi"}}
    return type_, ({} if "template_id" in config else {"content": given[type_]}) | config


def make_due() -> None:
    """The wall clock has come to everything that is put off."""
    Activity.objects.filter(status="pending").update(due_at="2020-01-01T00:00:00Z")


def hand_over() -> int:
    """Do the side effects that are due, in this process, and go on with the runs that follow."""
    worker = ActivityWorker(threads=2)
    try:
        done = worker.run()
    finally:
        worker.close()
    loop.advance(slice_s=20.0)
    return done


def only() -> Delivery:
    return Delivery.objects.get()


def statuses() -> list[str]:
    return [entry["status"] for entry in only().history]
