"""Switching flows on and off."""

from datetime import timedelta

import pytest
from django.db import transaction

from flows import errors, lifecycle, publishing, versions
from flows.lifecycle import Overdue
from flows.models import Flow, FlowTrigger, FlowVersion
from tenants.errors import NotFound
from tests.flows.conftest import NOON
from tests.flows.graphs import line


def test_a_draft_is_activated_with_its_newest_version(flow):
    newest = versions.create_draft(flow, line("more"))

    lifecycle.activate(flow, by="ada")

    flow.refresh_from_db()
    newest.refresh_from_db()
    assert (flow.status, flow.active_version) == ("active", newest)
    assert (newest.status, newest.published_by) == ("published", "ada")


def test_a_published_version_is_kept_by_activation(flow):
    first = flow.versions.get()
    publishing.publish(first)
    versions.create_draft(flow, line("more"))

    lifecycle.activate(flow)

    assert Flow.objects.get().active_version == first


def test_a_flow_without_a_version_cannot_be_activated(tenant):
    flow = lifecycle.create(tenant, "Empty")

    with pytest.raises(errors.NoVersion):
        lifecycle.activate(flow)


def test_an_invalid_graph_is_not_activated_and_every_problem_is_named(tenant):
    raw = line()
    raw["nodes"][1]["label"] = "?"
    raw["edges"].pop()
    flow = lifecycle.create(tenant, "Broken", graph=raw)

    with pytest.raises(errors.InvalidGraph) as refusal:
        lifecycle.activate(flow)

    assert {problem.code for problem in refusal.value.problems} == {"unknown_field", "unreachable"}
    assert Flow.objects.get().status == "draft"
    assert FlowVersion.objects.get().status == "draft"


VERBS = {
    "activate": (lifecycle.activate, {"draft", "paused"}, "active"),
    "pause": (lifecycle.pause, {"active"}, "paused"),
    "resume": (lifecycle.resume, {"paused"}, "active"),
    "archive": (lifecycle.archive, {"active", "paused"}, "archived"),
}


@pytest.mark.parametrize("status", ["draft", "active", "paused", "archived"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_moves_what_it_may_and_refuses_the_rest(flow, verb, status):
    act, sources, target = VERBS[verb]
    bring_to(flow, status)
    stale = Flow.objects.get()
    stale.status = "draft"

    if status in sources:
        act(stale)
        assert Flow.objects.get().status == target
    else:
        with pytest.raises(errors.IllegalTransition) as refusal:
            act(stale)
        assert refusal.value.current == status
        assert Flow.objects.get().status == status


def bring_to(flow, status):
    steps = {"draft": [], "active": ["activate"], "paused": ["activate", "pause"], "archived": ["activate", "archive"]}
    for verb in steps[status]:
        VERBS[verb][0](flow)


def test_a_pause_and_its_end_are_told_to_who_asked(flow, monkeypatch):
    told = []
    lifecycle.on_resume.append(told.append)
    monkeypatch.setattr("flows.clock.now", lambda: NOON)
    lifecycle.activate(flow)
    lifecycle.pause(flow)
    monkeypatch.setattr("flows.clock.now", lambda: NOON + timedelta(days=1))

    lifecycle.resume(flow, overdue=Overdue.SHIFT, spread_over=timedelta(minutes=5))

    [resumption] = told
    assert (resumption.flow, resumption.overdue, resumption.spread_over) == (flow, "shift", timedelta(minutes=5))
    assert resumption.resumed_at - resumption.paused_at == timedelta(days=1)
    assert Flow.objects.get().paused_at is None


@pytest.mark.parametrize("verb", [lifecycle.activate, lifecycle.archive])
def test_who_was_held_by_a_pause_is_let_go_by_every_way_out_of_it(flow, verb):
    told = []
    lifecycle.on_resume.append(told.append)
    bring_to(flow, "paused")

    verb(flow)

    assert [resumption.overdue for resumption in told] == ["run_overdue"]


def test_a_resumption_that_fails_leaves_the_flow_paused(flow):
    def fail(_):
        raise RuntimeError

    lifecycle.on_resume.append(fail)
    bring_to(flow, "paused")

    with pytest.raises(RuntimeError):
        lifecycle.resume(flow)

    assert Flow.objects.get().status == "paused"


def test_archiving_takes_away_what_starts_the_flow(flow):
    publishing.register_trigger_reader(lambda graph: [("event", "signed_up", "entry")])
    lifecycle.activate(flow)
    assert FlowTrigger.objects.count() == 1

    lifecycle.archive(flow)

    assert FlowTrigger.objects.count() == 0
    assert Flow.objects.get().active_version is not None


def test_a_copy_is_a_draft_with_the_newest_graph(flow):
    versions.create_draft(flow, line("more"))
    lifecycle.activate(flow)

    copy = lifecycle.duplicate(flow)

    assert (copy.name, copy.status, copy.active_version) == ("Onboarding (copy)", "draft", None)
    assert copy.versions.get().graph == line("more")
    assert copy.versions.get().number == 1


def test_a_copy_of_a_long_name_fits(flow):
    lifecycle.edit(flow, name="x" * 255)

    assert len(lifecycle.duplicate(flow).name) == 255
    assert lifecycle.duplicate(flow, name="Mine").name == "Mine"


def test_only_a_draft_is_deleted_with_its_versions(flow):
    publishing.publish(flow.versions.get())
    lifecycle.delete(flow)
    assert not Flow.objects.exists()
    assert not FlowVersion.objects.exists()


def test_a_flow_that_was_active_is_not_deleted(flow):
    lifecycle.activate(flow)

    with pytest.raises(errors.FlowNotDraft):
        lifecycle.delete(flow)

    assert Flow.objects.exists()


def test_an_archived_flow_is_not_edited(flow):
    bring_to(flow, "archived")

    with pytest.raises(errors.FlowArchived):
        lifecycle.edit(flow, name="New")
    with pytest.raises(errors.FlowArchived):
        versions.create_draft(flow, line())
    with pytest.raises(errors.FlowArchived):
        publishing.publish(flow.versions.get())


def test_a_verb_is_undone_with_the_transaction_of_its_caller(flow):
    with pytest.raises(RuntimeError), transaction.atomic():
        lifecycle.activate(flow)
        raise RuntimeError

    assert Flow.objects.get().status == "draft"
    assert FlowVersion.objects.get().status == "draft"


def test_of_two_that_activate_at_once_one_is_refused(in_parallel, flow):
    def activate():
        return lifecycle.activate(Flow.objects.get(pk=flow.pk))

    results = in_parallel(activate, activate)

    assert sorted(type(result).__name__ for result in results) == ["Flow", "IllegalTransition"]
    assert FlowVersion.objects.filter(status="published").count() == 1


def test_a_pause_and_an_archive_at_once_leave_one_answer(in_parallel, flow):
    lifecycle.activate(flow)

    in_parallel(
        lambda: lifecycle.pause(Flow.objects.get(pk=flow.pk)), lambda: lifecycle.archive(Flow.objects.get(pk=flow.pk))
    )

    assert Flow.objects.get().status == "archived"


@pytest.mark.parametrize(
    "act", [lifecycle.activate, lifecycle.delete, lambda flow: versions.create_draft(flow, line())]
)
def test_a_flow_that_was_deleted_meanwhile_is_not_found(flow, act):
    stale = Flow.objects.get()
    version = flow.versions.get()
    lifecycle.delete(flow)

    with pytest.raises(NotFound):
        act(stale)
    with pytest.raises(NotFound):
        publishing.publish(version)
