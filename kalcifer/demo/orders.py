"""Orders as sagas: some go through, some fail at each of the steps, and what was done by then has to be undone."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kalcifer.demo.api import Api

JSON = dict[str, Any]

DEFINITION = "place_order"
# What is done and undone, by where it fails.
EFFECTS: Mapping[str, tuple[str, ...]] = {
    "": ("reserve_stock", "charge_card", "book_courier"),
    "reserve_stock": (),
    "charge_card": ("reserve_stock", "release_stock"),
    "book_courier": ("reserve_stock", "charge_card", "refund_card", "release_stock"),
}
# What undoes a step whose worker was killed in the middle of it: nobody knows whether it had happened.
UNDOES = {"reserve_stock": "release_stock", "charge_card": "refund_card", "book_courier": "cancel_courier"}
WAYS = tuple(EFFECTS)
LOOK_EVERY = 0.5
OVER = ("COMPLETED", "COMPENSATED")


@dataclass(frozen=True, slots=True)
class Order:
    """An order and the step at which it fails; none: it goes through."""

    order_id: str
    fails_at: str

    @property
    def state(self) -> str:
        """How its saga has to end."""
        return "COMPENSATED" if self.fails_at else "COMPLETED"

    @property
    def outcome(self) -> str:
        """The same in words."""
        return f"undone after {self.fails_at} failed" if self.fails_at else "delivered"


def draw(*, count: int, run: str, seed: int) -> list[Order]:
    """Orders, each way taken at least once where there are enough; half of them go through."""
    dice = random.Random(seed)  # noqa: S311  # a plan that can be drawn again is the point
    ways = list(WAYS[:count])
    ways += dice.choices(WAYS, (3, 1, 1, 1), k=count - len(ways))
    return [Order(f"{run}-saga-{number:04}", way) for number, way in enumerate(ways, 1)]


def start(api: Api, receiver: str, orders: Sequence[Order]) -> None:
    """Start the saga of each, over HTTP, once."""
    for order in orders:
        given = {"order_id": order.order_id, "receiver": receiver, "fails_at": order.fails_at}
        body = {"definition": DEFINITION, "saga_id": order.order_id, "input": given}
        api.post("/sagas", body, once=order.order_id)


def see_through(api: Api, orders: Sequence[Order], *, seconds: float, ended: threading.Event) -> dict[str, str]:
    """Wait until every saga is over; give the state of each, by order."""
    deadline = time.monotonic() + seconds
    found: dict[str, str] = {}
    while not ended.is_set():
        for order in orders:
            if found.get(order.order_id) not in OVER:
                found[order.order_id] = api.get(f"/sagas/{order.order_id}")["state"]
        if all(state in OVER for state in found.values()) or time.monotonic() > deadline:
            break
        ended.wait(LOOK_EVERY)
    return found


def effects_expected(orders: Sequence[Order]) -> set[tuple[str, str]]:
    """Every call that has to be made, as (effect, order)."""
    return {(effect, order.order_id) for order in orders for effect in EFFECTS[order.fails_at]}


def differences(
    orders: Sequence[Order], found: Mapping[str, str], done: Mapping[tuple[str, str], Counter[str]]
) -> list[str]:
    """What is not as it has to be: the end of a saga, or an effect that was missed, doubled or not wanted."""
    problems = [
        f"{order.order_id}: is {found.get(order.order_id, 'not there')}, and not {order.state}"
        for order in orders
        if found.get(order.order_id) != order.state
    ]
    wanted, ours = effects_expected(orders), {order.order_id for order in orders}
    allowed = {(UNDOES[order.fails_at], order.order_id) for order in orders if order.fails_at}
    actual = {call: len(keys) for call, keys in done.items() if call[1] in ours}
    calls = ((call, actual.get(call, 0), int(call in wanted)) for call in sorted({*wanted, *actual}))
    return problems + [
        f"{order_id}: {effect} was done under {keys} keys instead of {due}"
        for (effect, order_id), keys, due in calls
        if keys != due and not (keys == 1 and (effect, order_id) in allowed)
    ]
