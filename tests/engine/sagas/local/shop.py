"""A shop in a plain file: an order saga whose process dies where SHOP_DIES says, and notes its calls in SHOP_NOTES."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings

if not apps.ready:
    django.setup()

from engine import EventBus, Saga, SagaStep, WorkflowEngine, current_step
from engine.errors import SagaRunning, SagaStopped

ORDER = "order-1"


def note(what: str) -> None:
    step = current_step.get()
    key = step.idempotency_key.partition(":")[2] if step else ""
    with Path(os.environ["SHOP_NOTES"]).open("a", encoding="utf-8") as notes:
        notes.write(f"{what} {key} {step.attempt if step else ''}\n")
    if os.environ.get("SHOP_DIES") == what:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("SHOP_FREEZES") == what:
        os.kill(os.getpid(), signal.SIGSTOP)


async def reserve(items: list[str]) -> str:
    note("reserve")
    return f"reserved {', '.join(items)}"


async def release(items: list[str]) -> None:
    note("release")


def charge(amount: int) -> dict[str, Any]:
    note("charge")
    return {"charged": amount}


def refund(amount: int) -> None:
    note("refund")


async def ship() -> str:
    note("ship")
    if os.environ.get("SHOP_HANGS"):
        await asyncio.Event().wait()
    if os.environ.get("SHOP_FAILS"):
        raise ValueError("no van")
    return "shipped"


def order() -> Saga:
    saga = Saga(ORDER, EventBus())
    saga.add_step(SagaStep("stock", reserve, release, (["book"],)))
    saga.add_step(SagaStep("payment", charge, refund, (100,), after="stock"))
    saga.add_step(SagaStep("courier", ship, after="payment"))
    return saga


async def main() -> None:
    settings.KALCIFER_LEASE_S = float(os.environ.get("SHOP_LEASE", "1"))
    engine = WorkflowEngine()
    engine.register_saga(order())
    while True:
        try:
            sys.stdout.write(f"{await engine.execute_saga(ORDER)}\n")
        except SagaRunning:
            await asyncio.sleep(0.1)
        except SagaStopped as error:
            sys.stdout.write(f"{type(error).__name__} {error}\n")
            return
        else:
            return


if __name__ == "__main__":
    asyncio.run(main())
