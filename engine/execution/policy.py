"""How often and how patiently a side effect is tried."""

from __future__ import annotations

from typing import Any

from engine import patience
from engine.nodes.action_config import ActionConfig, Retry
from engine.nodes.base import Node
from engine.nodes.outcomes import Failed

JSON = dict[str, Any]


def policy_of(node: Node, config: Any) -> JSON:
    """
    Give the policy an activity is recorded with.

    `explicit` says that the author chose an `on_failure`, which is obeyed when the attempts are used up; without one
    the activity is parked.
    """
    is_action = isinstance(config, ActionConfig)
    retry = config.retry if is_action else Retry.model_validate({})
    chosen = config.on_failure if is_action else None
    return {
        "attempts": retry.attempts,
        "backoff_s": retry.backoff.total_seconds(),
        "max_interval_s": retry.max_interval.total_seconds(),
        "non_retryable": list(retry.non_retryable),
        "timeout_s": (config.timeout if is_action else node.timeout).total_seconds(),
        "on_unknown": getattr(node, "on_unknown", "retry"),
        "explicit": chosen is not None or node.on_failure != "fail",
    }


def verdict_on(failure: Failed, policy: JSON, attempt: int) -> str:
    """Say what follows a failed attempt: `pending` for another one, `failed` or `parked` when there is none."""
    if failure.unknown and policy["on_unknown"] == "park":
        return "parked"
    if failure.retryable and failure.code not in policy["non_retryable"] and attempt < policy["attempts"]:
        return "pending"
    return "failed" if policy["explicit"] else "parked"


def pause_before(attempt: int, failure: Failed, policy: JSON) -> float:
    """Give the seconds before the next attempt: exponential with jitter, never sooner than the other side asked for."""
    asked = failure.retry_after.total_seconds() if failure.retry_after else 0.0
    return max(patience.pause(attempt, policy["backoff_s"], policy["max_interval_s"]), asked)
