"""Every pair of states is tried on every way a row can be written; what moved is what the table allows."""

from itertools import product

import pytest
from django.db import transaction

from flows import lifecycle
from flows.errors import IllegalTransition
from flows.models import ExecutionStep, Flow, FlowInstance, FlowVersion
from tests.flows.conftest import NOON
from tests.flows.graphs import line

MODELS = [Flow, FlowVersion, FlowInstance, ExecutionStep]


def columns(model, status, flow):
    """What a row of this status must have by the database's own constraints."""
    version = flow.versions.get(number=1)
    times = {"entered_at": NOON, "updated_at": NOON, "exited_at": NOON}
    return {
        Flow: {"tenant": flow.tenant, "paused_at": NOON, "active_version": version},
        FlowVersion: {"tenant": flow.tenant, "flow": flow, "number": 7, "published_at": NOON},
        FlowInstance: times
        | {"tenant": flow.tenant, "flow": flow, "version": version, "participant_id": "ada", "error": {"code": "x"}}
        | {"completed_at": NOON if status == "completed" else None},
        ExecutionStep: {"tenant": flow.tenant, "instance_id": flow.pk, "n": 1, "version": 1, "started_at": NOON},
    }[model] | {"status": status}


def by_save(row, changes):
    for name, value in changes.items():
        setattr(row, name, value)
    row.save()


def by_save_of_fields(row, changes):
    for name, value in changes.items():
        setattr(row, name, value)
    row.save(update_fields=list(changes))


def by_save_of_a_stale_copy(row, changes):
    row.status = changes["status"]
    by_save(row, changes)


def by_update(row, changes):
    type(row).objects.filter(pk=row.pk).update(**changes)


def by_bulk_update(row, changes):
    for name, value in changes.items():
        setattr(row, name, value)
    type(row).objects.bulk_update([row], list(changes))


def by_update_or_create(row, changes):
    type(row).objects.update_or_create(pk=row.pk, defaults=changes)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize(
    "write", [by_save, by_save_of_fields, by_save_of_a_stale_copy, by_update, by_bulk_update, by_update_or_create]
)
def test_what_moves_is_what_the_table_allows(tenant, model, write):
    flow = lifecycle.create(tenant, "Flow", graph=line())
    states = sorted(model.TRANSITIONS.states)

    moved = set()
    for source, target in product(states, states):
        with transaction.atomic():
            row = model.objects.create(**columns(model, source, flow))
            changes = {name: columns(model, target, flow)[name] for name in ("status", *_companions(model))}
            try:
                with transaction.atomic():
                    write(row, changes)
            except IllegalTransition as refusal:
                assert (refusal.current, refusal.target) == (source, target)
                assert model.objects.get(pk=row.pk).status == source
            else:
                assert model.objects.get(pk=row.pk).status == target
                moved.add((source, target))
            transaction.set_rollback(True)

    arrows = {(source, target) for source, targets in model.TRANSITIONS.arrows.items() for target in targets}
    assert moved == arrows | {(state, state) for state in states}


def _companions(model):
    return ("completed_at",) if model is FlowInstance else ()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_states_of_the_table_are_those_of_the_column(model):
    assert model.TRANSITIONS.states == set(dict(model._meta.get_field("status").choices))


def test_one_row_without_an_arrow_refuses_the_whole_update(tenant):
    flows = [lifecycle.create(tenant, name, graph=line()) for name in "ab"]
    lifecycle.archive(lifecycle.activate(flows[0]))

    with pytest.raises(IllegalTransition):
        Flow.objects.for_tenant(tenant).update(status="active")

    assert set(Flow.objects.values_list("status", flat=True)) == {"archived", "draft"}


def test_a_stale_copy_cannot_undo_an_archive(flow):
    stale = lifecycle.activate(Flow.objects.get())
    lifecycle.archive(Flow.objects.get())

    with pytest.raises(IllegalTransition) as refusal:
        stale.save()

    assert refusal.value.current == "archived"
