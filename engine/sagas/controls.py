"""What people do to sagas: look, cancel, resume."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from engine import bridge, clock, errors, tenancy
from engine.sagas import decisions, progress, recovery, rows, status
from engine.sagas.rows import Row
from engine.sagas.write import Move, cause, open_move
from engine.workflow_state import WorkflowState
from tenants.models import Tenant

JSON = dict[str, Any]
AnyTenant = Tenant | UUID | str | None


def get_saga_status_sync(saga_id: str, *, tenant: AnyTenant = None) -> JSON:
    """Give where a saga stands; raise UnknownSaga where there is none of this id."""
    row = rows.find(tenancy.id_of(tenancy.key_of(tenant)), saga_id)
    if row is None:
        raise errors.UnknownSaga(attr="saga_id")
    return status.of(row.state())


def cancel_saga_sync(
    saga_id: str, *, tenant: AnyTenant = None, reason: str = "", actor: str = "", correlation_id: str = ""
) -> JSON:
    """
    End a saga: nothing new begins, what runs is awaited, then what was done is undone; give its status.

    In the caller's transaction where there is one. A saga that a process carries on is ended by that process, which
    hears of it. Raises SagaFinished for one that is over, SagaEnding for one that is ending or stuck.
    """
    with transaction.atomic():
        row = _locked(saga_id, tenant)
        move = open_move(row, clock.now())
        state = move.state
        if state.is_over:
            raise errors.SagaFinished(f"The saga is {state.status}.")
        if state.status == WorkflowState.FAILED:
            raise errors.SagaEnding("The saga is stuck; resume it, and it goes on with what is left.")
        if state.ending is not None or state.status == WorkflowState.COMPENSATING:
            raise errors.SagaEnding
        move.record(*decisions.cancellation(reason, actor))
        return _go_on(move, row, cause(actor or "operator", correlation_id))


def resume_saga_sync(saga_id: str, *, tenant: AnyTenant = None, actor: str = "", correlation_id: str = "") -> JSON:
    """
    Have a stuck saga go on, back where it was undoing, forward where it was past its pivot; give its status.

    What had failed for good is tried again, with as many attempts as at first. One that lived in a process goes on on
    the workers if they can call its steps. Raises SagaNotStuck, SagaNotRecoverable.
    """
    with transaction.atomic():
        row = _locked(saga_id, tenant)
        move = open_move(row, clock.now())
        if move.state.status != WorkflowState.FAILED:
            raise errors.SagaNotStuck(f"The saga is {move.state.status}; only a stuck one (FAILED) can be resumed.")
        if move.state.runs_in == recovery.PROCESS:
            if why_not := recovery.obstacle(move.state.plan):
                raise errors.SagaNotRecoverable(f"{why_not} Register it there again and execute it.")
            move.record("saga_taken_over", {"from": recovery.PROCESS, "to": recovery.WORKERS})
        move.record(*decisions.resumption(move.state, actor or "operator"))
        recovery.begin_again(move)
        return _go_on(move, row, cause(actor or "operator", correlation_id))


get_saga_status = bridge.twin(get_saga_status_sync)
cancel_saga = bridge.twin(cancel_saga_sync)
resume_saga = bridge.twin(resume_saga_sync)


def _locked(saga_id: str, tenant: AnyTenant) -> Row:
    row = rows.find(tenancy.id_of(tenancy.key_of(tenant)), saga_id, locked=True)
    if row is None:
        raise errors.UnknownSaga(attr="saga_id")
    return row


# What a process carries on it decides itself; what no process has begun yet is decided here.
def _go_on(move: Move, row: Row, metadata: JSON) -> JSON:
    if move.state.runs_in == recovery.WORKERS or row.lease_holder is None:
        (move,) = progress.carry_on([move], {row.id: row})
    progress.written([move], {row.id: row}, metadata)
    return status.of(move.state)
