"""How a token leaves its node: along the edges of a branch, or in failure."""

from __future__ import annotations

from typing import Any

from engine.execution.burst import Burst
from engine.execution.program import CompiledNode

JSON = dict[str, Any]

# What went wrong with a node, as an event and a step tell it.
Trouble = tuple[str, str]


def go_on(burst: Burst, compiled: CompiledNode, branch: str | None, result: JSON, *, step: int) -> None:
    """End the token and send one along each edge of the branch; where one is or was already, it is absorbed."""
    tokens, outcomes = burst.state.tokens, burst.state.outcomes
    targets = compiled.edges.get(branch, ())
    going = [pair for pair in targets if pair[0] not in tokens and pair[0] not in outcomes]
    burst.record(
        "node_completed",
        {
            "token": compiled.id,
            "node": compiled.id,
            "type": compiled.type,
            "branch": branch,
            "result": result,
            "next": [pair[0] for pair in going],
            "next_types": [pair[1] for pair in going],
            "step": step,
            "started_at": tokens[compiled.id]["since"],
        },
    )
    burst.context_changed = True
    if len(going) < len(targets):
        for pair in targets:
            if pair not in going:
                burst.record("token_joined", {"node": pair[0], "from": compiled.id, "absorbed": True})


def fail(burst: Burst, compiled: CompiledNode, trouble: Trouble, result: JSON | None = None) -> None:
    """
    Record that a node cannot do its work: what follows is the author's choice, else the instance fails.

    The step row stays failed, whatever is chosen.
    """
    code, detail = trouble
    error = {"code": code, "detail": detail[:2000]}
    n = burst.end_step(compiled.id, status="failed", error=error)
    burst.record("node_failed", {"node": compiled.id, "type": compiled.type, "step": n, "error": error})
    choice = "fail"
    if compiled.node is not None and code not in ("no_edge", "unknown_type"):
        choice = getattr(compiled.config, "on_failure", None) or compiled.node.on_failure
    branch = {"continue": None, "branch": "failed"}.get(choice)
    if choice == "exit":
        burst.end("exited", {"reason": "error", "detail": detail[:2000], "node": compiled.id})
    elif choice in ("continue", "branch") and compiled.edges.get(branch):
        go_on(burst, compiled, branch, {"status": "failed", "error": error, **(result or {})}, step=n)
    else:
        burst.fail(code, detail, compiled.id)
