"""What a process holds of the side effects, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.activity_owners import News
from engine.nodes.outcomes import Branched, Completed, Failed, Outcome

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lease:
    """An activity that this process holds, and the attempt it is at."""

    id: str
    tenant_id: str
    flow_id: str | None
    instance_id: str | None
    node_id: str
    kind: str
    target: str
    input: JSON
    idempotency_key: str
    policy: JSON
    attempt: int
    saga_id: str | None = None
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of an attempt."""

    lease: Lease
    outcome: Outcome
    status: str
    pause_s: float = 0.0

    @property
    def result(self) -> JSON | None:
        """What is kept of a success, in the form that the loop takes it up."""
        match self.outcome:
            case Completed(result=result, ends=ends, reason=reason):
                return {"result": result, "branch": None, "ends": ends, "reason": reason}
            case Branched(branch=branch, result=result):
                return {"result": result, "branch": branch}
        return None

    @property
    def error(self) -> JSON | None:
        """What is kept of a failure."""
        if isinstance(self.outcome, Failed):
            unknown = {"unknown": True} if self.outcome.unknown else {}
            said = {"code": self.outcome.code, "detail": self.outcome.reason[:2000], "result": self.outcome.result}
            return said | unknown
        return None

    @property
    def news(self) -> News:
        """What its owner is told."""
        lease = self.lease
        return News(
            lease.id, lease.kind, lease.tenant_id, lease.instance_id, lease.saga_id, lease.lane, lease.node_id,
            lease.attempt, self.status, self.result, self.error,
        )  # fmt: skip
