"""Checking graphs and publishing versions."""

import pytest
from django.db import IntegrityError, transaction

from flows import errors, lifecycle, publishing, versions
from flows.graph.problems import Problem, Severity
from flows.models import Flow, FlowTrigger, FlowVersion
from flows.publishing import Rollout
from tests.flows.graphs import line


def test_errors_forbid_and_warnings_only_tell(tenant):
    publishing.register_check(
        lambda graph, tenant: [
            Problem("no_goal", "No goal.", severity=Severity.WARNING),
            Problem("unknown_type", "?", "graph.nodes.1.type", "pause"),
        ]
    )

    validation = publishing.validate(line(), tenant)

    assert not validation.valid
    assert [problem.code for problem in validation.errors] == ["unknown_type"]
    assert [problem.code for problem in validation.warnings] == ["no_goal"]


def test_a_place_of_the_wrong_shape_is_blamed_once(tenant):
    publishing.register_check(lambda graph, tenant: [Problem("unknown_type", "?", "graph.nodes.1.type", "pause")])
    raw = line()
    raw["nodes"][1]["type"] = 7

    assert [problem.code for problem in publishing.validate(raw, tenant).errors] == ["wrong_type"]


@pytest.mark.parametrize("raw", [None, 3, "x", [], {}, {"nodes": 1}])
def test_what_is_no_graph_has_problems_too(tenant, raw):
    assert publishing.validate(raw, tenant).errors


def test_a_check_is_asked_once_however_often_it_registers():
    def check(graph, tenant):
        return []

    publishing.register_check(check)
    publishing.register_check(check)

    assert publishing.registered.checks == [check]


def test_the_version_before_becomes_deprecated(flow):
    first = publishing.publish(flow.versions.get(), by="ada")
    second = publishing.publish(versions.create_draft(flow, line("more")), by="bob")

    first.refresh_from_db()
    assert (first.status, second.status, second.published_by) == ("deprecated", "published", "bob")
    assert Flow.objects.get().active_version == second


def test_a_deprecated_version_is_published_again_after_validation(flow):
    first = publishing.publish(flow.versions.get())
    publishing.publish(versions.create_draft(flow, line("more")))

    publishing.publish(first)
    assert Flow.objects.get().active_version == first

    publishing.publish(flow.versions.get(number=2))
    publishing.register_check(lambda graph, tenant: [Problem("unresolved_reference", "Gone.")])
    with pytest.raises(errors.InvalidGraph):
        publishing.publish(first)


def test_a_published_version_is_not_published_twice(flow):
    version = publishing.publish(flow.versions.get())

    with pytest.raises(errors.VersionPublished):
        publishing.publish(version)


def test_what_starts_the_flow_is_rewritten(flow):
    publishing.register_trigger_reader(lambda graph: [("event", node.id, node.id) for node in graph.nodes.values()])

    publishing.publish(flow.versions.get())
    publishing.publish(versions.create_draft(flow, line("more")))

    assert sorted(FlowTrigger.objects.values_list("key", flat=True)) == ["end", "entry", "more"]
    assert set(FlowTrigger.objects.values_list("version__number", flat=True)) == {2}


def test_an_unknown_strategy_is_refused(flow):
    with pytest.raises(errors.InvalidStrategy) as refusal:
        publishing.publish(flow.versions.get(), rollout=Rollout(strategy="at_random"))

    assert refusal.value.attr == "strategy"
    assert FlowVersion.objects.get().status == "draft"


def test_a_registered_strategy_begins_in_the_same_transaction(flow):
    begun = []
    publishing.register_strategy("gradual", lambda *what: begun.append((what, FlowVersion.objects.get().status)))
    rollout = Rollout(strategy="gradual", percent=10, node_mapping={"a": "b"}, reason="why not")

    version = publishing.publish(flow.versions.get(), rollout=rollout)

    assert begun == [((version, None, rollout), "published")]
    version.refresh_from_db()
    assert (version.strategy, version.rollout_percent, version.node_mapping) == ("gradual", 10, {"a": "b"})


def test_numbers_count_up_within_a_flow(flow, tenant):
    other = lifecycle.create(tenant, "Other", graph=line())

    assert [versions.create_draft(flow, line()).number, versions.create_draft(flow, line()).number] == [2, 3]
    assert other.versions.get().number == 1


def test_a_draft_is_changed_until_it_is_published(flow):
    draft = flow.versions.get()

    versions.update_draft(draft, changelog="Longer.")
    versions.update_draft(draft, graph=line("more"))
    publishing.publish(draft)

    draft.refresh_from_db()
    assert (draft.changelog, draft.graph) == ("Longer.", line("more"))
    with pytest.raises(errors.VersionPublished):
        versions.update_draft(draft, graph=line())


def test_the_database_keeps_a_published_graph(flow):
    version = publishing.publish(flow.versions.get())

    with pytest.raises(IntegrityError), transaction.atomic():
        FlowVersion.objects.filter(pk=version.pk).update(graph={})


def test_what_is_no_graph_is_not_kept(flow):
    for raw in (None, [], {"nodes": 3}, {"nodes": [], "edges": "x"}):
        with pytest.raises(errors.InvalidGraph):
            versions.create_draft(flow, raw)

    assert flow.versions.count() == 1


def test_of_two_that_publish_at_once_both_are_ordered(in_parallel, flow):
    first, second = flow.versions.get(), versions.create_draft(flow, line("more"))

    results = in_parallel(lambda: publishing.publish(first), lambda: publishing.publish(second))

    assert all(isinstance(result, FlowVersion) for result in results)
    assert sorted(FlowVersion.objects.values_list("status", flat=True)) == ["deprecated", "published"]
    assert Flow.objects.get().active_version.status == "published"


def test_of_two_that_publish_the_same_version_one_is_refused(in_parallel, flow):
    version = flow.versions.get()

    results = in_parallel(*[lambda: publishing.publish(FlowVersion.objects.get(pk=version.pk))] * 2)

    assert sorted(type(result).__name__ for result in results) == ["FlowVersion", "VersionPublished"]


def test_drafts_that_are_made_at_once_get_numbers_of_their_own(in_parallel, flow):
    in_parallel(*[lambda: versions.create_draft(Flow.objects.get(pk=flow.pk), line())] * 4)

    assert sorted(FlowVersion.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5]
