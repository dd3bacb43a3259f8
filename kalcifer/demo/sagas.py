"""The order saga: reserve stock, charge the card, book the courier; what was done is undone if a later step fails."""

from __future__ import annotations

from typing import Any, Literal

import httpx
from pydantic import BaseModel

from engine.patience import Retry
from engine.saga_context import current_step
from engine.sagas.builder import SagaStep
from engine.sagas.registry import saga

JSON = dict[str, Any]

TIMEOUT_S = 5.0


class Refused(Exception):
    """The other side has said no; asking again would not help."""


class Order(BaseModel):
    """What is ordered, who carries it out, and where it is to go wrong."""

    order_id: str
    receiver: str
    fails_at: Literal["", "reserve_stock", "charge_card", "book_courier"] = ""


@saga("place_order", input=Order)
def place_order(order: Order) -> list[SagaStep]:
    """One step after the other, each with what undoes it."""
    again = Retry(attempts=8, backoff_s=0.5, max_interval_s=2.0, non_retryable=("Refused",))
    given = (order.model_dump(),)
    return [
        SagaStep("stock", reserve_stock, release_stock, given, retry=again),
        SagaStep("card", charge_card, refund_card, given, retry=again, after=("stock",)),
        SagaStep("courier", book_courier, cancel_courier, given, retry=again, after=("card",)),
    ]


def reserve_stock(order: JSON) -> JSON:
    """Put the goods aside."""
    return _ask("reserve_stock", order)


def release_stock(order: JSON) -> JSON:
    """Put them back."""
    return _ask("release_stock", order)


def charge_card(order: JSON) -> JSON:
    """Take the money."""
    return _ask("charge_card", order)


def refund_card(order: JSON) -> JSON:
    """Give it back."""
    return _ask("refund_card", order)


def book_courier(order: JSON) -> JSON:
    """Have the goods fetched."""
    return _ask("book_courier", order)


def cancel_courier(order: JSON) -> JSON:
    """Have them stay."""
    return _ask("cancel_courier", order)


# The key is the same however often a step is tried: whoever is asked does it once.
def _ask(effect: str, order: JSON) -> JSON:
    step = current_step.get()
    assert step is not None
    fails = order["fails_at"] == effect
    body = {"effect": effect, "run": order["order_id"], "card": "declined" if fails else "good"}
    headers = {"Idempotency-Key": step.idempotency_key}
    answer = httpx.post(order["receiver"], json=body, headers=headers, timeout=TIMEOUT_S, trust_env=False)
    if answer.status_code == httpx.codes.PAYMENT_REQUIRED:
        raise Refused(f"{effect} was refused.")
    answer.raise_for_status()
    found: JSON = answer.json()
    return found
