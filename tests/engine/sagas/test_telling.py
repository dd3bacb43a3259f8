"""What durable handlers hear of sagas on workers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.bus import EventBus, handlers, subscriptions
from tenants.models import Tenant
from tests.engine.sagas import calls
from tests.engine.sagas.conftest import Followed, step, work

Begin = Callable[..., Followed]


@pytest.fixture(autouse=True)
def nobody_listens(monkeypatch: pytest.MonkeyPatch, tenant: Tenant) -> None:
    monkeypatch.setattr(subscriptions, "_of_tenant", {})
    monkeypatch.setattr(handlers, "_named", {})
    for kind in ("step_completed:*", "step_compensated:*", "saga_completed", "saga_failed"):
        EventBus(tenant).subscribe(kind, calls.hear)


def test_handlers_hear_of_each_step_and_of_the_end_in_the_context_of_the_saga(begin: Begin) -> None:
    begin(step("a"), step("b", after=["a"]))

    work()

    assert calls.heard == [
        ("step_completed:a", "a", "did a"),
        ("step_completed:b", "b", "did b"),
        ("saga_completed", None, {"a": "did a", "b": "did b"}),
    ]


def test_handlers_hear_of_what_is_undone_and_of_the_failure(begin: Begin) -> None:
    begin(step("a"), step("b", calls.decline, after=["a"]))

    work()

    assert calls.heard == [
        ("step_completed:a", "a", "did a"),
        ("step_compensated:a", "a", "undid a"),
        ("saga_failed", None, {"code": "CardDeclined", "detail": "no funds"}),
    ]


def test_handlers_of_another_tenant_hear_nothing(begin: Begin, other_tenant: Tenant) -> None:
    begin(step("a"), of=other_tenant)

    work()

    assert calls.heard == []
