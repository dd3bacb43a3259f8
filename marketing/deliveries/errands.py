"""The side effects that hand messages over: some dozens of messages each, so that a step costs one row and not two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from engine import detached
from engine.detached import Errand

JSON = dict[str, Any]

KIND: Final = "send"
MOST: Final = 100
# The messages have attempts of their own: this is for workers that die and databases that go away.
POLICY: Final[JSON] = {
    "attempts": 50,
    "backoff_s": 1.0,
    "max_interval_s": 60.0,
    "non_retryable": [],
    "timeout_s": 600.0,
    "on_unknown": "retry",
    "explicit": True,
}


def run_many(
    tenant_id: Any, messages: Iterable[tuple[str, str | None]], *, pause_s: float = 0.0, put_off: int = 0
) -> None:
    """
    Have messages, each with its flow, handed over soon, or after a pause (wall time), by the caller's commit.

    `put_off` is how often a gate has held them back.
    """
    by_flow: dict[str | None, list[str]] = defaultdict(list)
    for delivery_id, flow_id in messages:
        by_flow[flow_id].append(delivery_id)
    errands = [
        Errand(flow_id, {"ids": some, "put_off": put_off} if put_off else {"ids": some}, pause_s)
        for flow_id, ids in by_flow.items()
        for some in _stretches(ids, MOST)
    ]
    detached.write_many(tenant_id, KIND, errands, POLICY)


def run_each(tenant_id: Any, flow_id: str | None, delivery_ids: Sequence[str]) -> None:
    """Have messages handed over one by one: something in one of them does harm."""
    errands = [Errand(flow_id, {"ids": [delivery_id]}) for delivery_id in delivery_ids]
    detached.write_many(tenant_id, KIND, errands, POLICY)


def _stretches(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
