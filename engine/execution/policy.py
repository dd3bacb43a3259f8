"""How often and how patiently a side effect is tried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engine.nodes.base import Node

# Without a policy of the author's: six attempts over about a minute.
DEFAULT = {"attempts": 6, "backoff_s": 1.0, "max_interval_s": 300.0, "non_retryable": []}


def policy_of(node: Node, config: Any) -> dict[str, Any]:
    """
    Give the policy an activity is recorded with.

    `explicit` says that the author chose an `on_failure`: it is obeyed when the attempts are used up; without one the activity is parked.
    """
    retry = getattr(config, "retry", None)
    chosen = retry.model_dump(mode="python", exclude_none=True) if retry is not None else {}
    timeout = getattr(config, "timeout", None) or node.timeout
    explicit = "on_failure" in getattr(config, "model_fields_set", ())
    return {
        "attempts": chosen.get("attempts", DEFAULT["attempts"]),
        "backoff_s": _seconds(chosen.get("backoff", DEFAULT["backoff_s"])),
        "max_interval_s": _seconds(chosen.get("max_interval", DEFAULT["max_interval_s"])),
        "non_retryable": list(chosen.get("non_retryable", ())),
        "timeout_s": _seconds(timeout),
        "on_unknown": getattr(node, "on_unknown", "retry"),
        "explicit": explicit or node.on_failure != "fail",
    }


def _seconds(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
