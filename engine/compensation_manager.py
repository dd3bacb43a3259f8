"""Roll-backs of sagas and of flows under one roof: ask for them, wait for them, look at them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

from engine import bridge, tenancy
from engine.compensation import links, verbs
from engine.errors import UnknownInstance
from engine.sagas import controls
from engine.workflow_state import WorkflowState
from flows.errors import IllegalTransition
from flows.models import FlowInstance
from flows.models.instance import InstanceStatus
from tenants.errors import KalciferError
from tenants.models import Tenant

JSON = dict[str, Any]
# The id of a saga is a text, a run of a flow is its row or its UUID.
Target = str | UUID | FlowInstance

AT_REST: Final = frozenset(
    (
        WorkflowState.COMPLETED.value,
        WorkflowState.FAILED.value,
        WorkflowState.COMPENSATED.value,
        InstanceStatus.COMPENSATED.value,
        InstanceStatus.COMPENSATION_FAILED.value,
    )
)
AFTER_PIVOT: Final = "failed_after_pivot"
PAUSES_S: Final = (0.01, 0.02, 0.05, 0.1, 0.25)

# What waits for side effects has hands of its own: the bridge's are for short calls.
_hands = bridge.Pool("kalcifer-compensation", threads=4)


class CompensationManager:
    """
    Undoes what sagas and runs of flows did, in reverse order of completion.

    The workers carry a roll-back on, whoever asked for it; `compensate` also lends a hand itself, so that it ends
    without any. What it gives is `{id, kind, state, undone, left, error}`: `left` is what an operator has to decide
    about once `state` is FAILED or compensation_failed.
    """

    def __init__(self, tenant: Tenant | UUID | str | None = None) -> None:
        """Speak for this tenant; without one, for the tenant `default`."""
        self._tenant = tenancy.key_of(tenant)

    def schedule_sync(self, target: Target, *, reason: str = "", actor: str = "") -> JSON:
        """
        Have it rolled back by the workers, in the caller's transaction where there is one; give its status.

        A saga that runs is cancelled, one that is stuck goes on undoing; a run has failed, has exited or is stuck.
        Anything else is refused as `cancel`, `resume` and `compensate` refuse it.
        """
        if isinstance(target, str):
            return self._schedule_saga(target, reason, actor)
        verbs.compensate_sync(self._instance(target), reason=reason, actor=actor)
        return self.status_sync(target)

    def status_sync(self, target: Target) -> JSON:
        """Say how far a roll-back has come; UnknownSaga or UnknownInstance where there is nothing of this id."""
        if isinstance(target, str):
            return _of_saga(controls.get_saga_status_sync(target, tenant=self._id))
        return _of_instance(self._instance(target))

    def compensate_sync(self, target: Target, *, reason: str = "", actor: str = "", timeout: float = 60.0) -> JSON:
        """
        Have it rolled back and wait until that has ended or is stuck; give its status.

        Raises TimeoutError when it takes longer than `timeout` seconds: the workers go on with it. Not to be called
        in a transaction.
        """
        status = self.schedule_sync(target, reason=reason, actor=actor)
        for pause in _pauses(timeout):
            if status["state"] in AT_REST:
                break
            if not self._lend_a_hand(target):
                time.sleep(pause)
            status = self.status_sync(target)
        return _ended(status)

    async def compensate(
        self,
        target: Target,
        *,
        reason: str = "",
        actor: str = "",
        timeout: float = 60.0,  # noqa: ASYNC109 - the twin's
    ) -> JSON:
        """Do as `compensate_sync` does, and let others go on meanwhile."""
        status = await self.schedule(target, reason=reason, actor=actor)
        for pause in _pauses(timeout):
            if status["state"] in AT_REST:
                break
            if not await _hands.call(self._lend_a_hand, target):
                await asyncio.sleep(pause)
            status = await self.status(target)
        return _ended(status)

    def batch_sync(self, targets: Iterable[Target], *, reason: str = "", actor: str = "") -> list[JSON]:
        """
        Have many rolled back; one answer each, in their order: a status, or `{id, refusal: {code, detail}}`.

        None keeps another from its turn.
        """
        return [self._schedule_or_say(each, reason, actor) for each in targets]

    schedule = bridge.twin(schedule_sync)
    status = bridge.twin(status_sync)
    batch = bridge.twin(batch_sync)

    @property
    def _id(self) -> str:
        return tenancy.id_of(self._tenant)

    def _schedule_saga(self, saga_id: str, reason: str, actor: str) -> JSON:
        found = controls.get_saga_status_sync(saga_id, tenant=self._id)
        if found["state"] != WorkflowState.FAILED:
            return _of_saga(controls.cancel_saga_sync(saga_id, tenant=self._id, reason=reason, actor=actor))
        if (found["error"] or {}).get("code") == AFTER_PIVOT:
            raise IllegalTransition(of="saga", current=found["state"], target=WorkflowState.COMPENSATING)
        return _of_saga(controls.resume_saga_sync(saga_id, tenant=self._id, actor=actor))

    def _schedule_or_say(self, target: Target, reason: str, actor: str) -> JSON:
        try:
            return self.schedule_sync(target, reason=reason, actor=actor)
        except KalciferError as refusal:
            key = str(target.pk) if isinstance(target, FlowInstance) else str(target)
            return {"id": key, "refusal": {"code": refusal.code, "detail": refusal.detail}}

    def _instance(self, target: UUID | FlowInstance) -> FlowInstance:
        key = target.pk if isinstance(target, FlowInstance) else target
        found = FlowInstance.objects.filter(pk=key, tenant_id=self._id).first()
        if found is None:
            raise UnknownInstance
        return found

    def _lend_a_hand(self, target: Target) -> int:
        if isinstance(target, str):
            return links.do_next(saga_ids=[controls.get_saga_status_sync(target, tenant=self._id)["id"]])
        return links.do_next(instance_ids=[str(self._instance(target).pk)])


def _of_saga(status: JSON) -> JSON:
    states = {each["name"]: each["compensation"]["state"] for each in status["steps"]}
    return {
        "id": status["saga_id"],
        "kind": "saga",
        "state": status["state"],
        "undone": [name for name, state in states.items() if state == "done"],
        "left": [name for name, state in states.items() if state in ("pending", "running", "failed")],
        "error": status["error"],
    }


def _of_instance(instance: FlowInstance) -> JSON:
    plan = (instance.compensation or {"plan": []})["plan"]
    stuck = next((each["error"] for each in plan if each["state"] == "parked"), None)
    return {
        "id": str(instance.pk),
        "kind": "flow",
        "state": str(instance.status),
        "undone": [each["node"] for each in plan if each["state"] == "done"],
        "left": [each["node"] for each in plan if each["state"] != "done"],
        "error": stuck or instance.error,
    }


# One pause before each look, growing; none once the time is up.
def _pauses(timeout: float) -> Iterator[float]:
    until = time.monotonic() + timeout
    number = 0
    while time.monotonic() < until:
        yield PAUSES_S[min(number, len(PAUSES_S) - 1)]
        number += 1


def _ended(status: JSON) -> JSON:
    if status["state"] not in AT_REST:
        raise TimeoutError(f"The roll-back of {status['id']} has not ended yet; the workers go on with it.")
    return status
