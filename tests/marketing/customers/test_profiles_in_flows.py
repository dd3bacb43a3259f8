"""What flows read and write of profiles, consents and preferences."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engine import connections, triggers
from engine.execution import loop
from flows import lifecycle, publishing
from flows.models import FlowInstance
from marketing.models import Consent, ConsentChange, Customer, Segment, SegmentDue, Topic
from tests.support.passage import run_until_idle


def node(id_, type_, config=None):
    return {"id": id_, "type": type_, "config": config or {}}


def line(*nodes, settings=None):
    """Nodes one after the other; the branch true of a gate leads on, false ends."""
    every = [node("entry", "event_entry", {"event_type": "x"}), *nodes, node("done", "exit", {"reason": "through"})]
    edges = []
    for here, there in pairwise(every):
        if here["type"] in {"preference_gate", "condition"}:
            edges += [{"source": here["id"], "target": there["id"], "branch": "true"}]
            edges += [{"source": here["id"], "target": "no", "branch": "false"}]
        else:
            edges.append({"source": here["id"], "target": there["id"]})
    if any(edge["target"] == "no" for edge in edges):
        every.append(node("no", "exit", {"reason": "refused"}))
    return {"settings": settings or {}, "nodes": every, "edges": edges}


@pytest.fixture
def news(tenant, fake_time):
    return Topic.objects.create(tenant=tenant, slug="news", name="News", opt_in=True, created_at=fake_time())


def test_a_profile_is_updated_and_the_rest_of_the_run_sees_it(passage, customer):
    customer(properties={"plan": "free", "old": 1}, timezone="Europe/Paris")
    fields = {"plan": "pro", "address.city": {"ref": "entry.city"}, "name": "Ada", "old": None, "timezone": "GMT+2"}
    is_pro = {"all": [{"path": "participant.plan", "op": "eq", "value": "pro"}]}

    ada = passage(line(node("set", "update_profile", {"fields": fields}), node("ask", "condition", is_pro)))
    ada.start(context={"city": "Bonn"})

    assert ada.path[-1] == "done"
    found = Customer.objects.get()
    assert found.properties == {"plan": "pro", "address": {"city": "Bonn"}, "timezone": "GMT+2"}
    assert (found.name, found.timezone) == ("Ada", "")


def test_whoever_has_no_profile_goes_through_and_gets_none(passage):
    ada = passage(line(node("set", "update_profile", {"fields": {"a": 1}}), node("tag", "add_tag", {"tag": "t"})))
    ada.start()

    assert ada.status == "completed"
    assert ada.results["set"]["status"] == ada.results["tag"]["status"] == "no_customer"
    assert not Customer.objects.exists()


def test_tags_are_added_and_removed(passage, customer):
    customer(tags=["old", "kept"])

    passage(
        line(
            node("a", "add_tag", {"tag": "new"}),
            node("b", "add_tag", {"tag": "old", "action": "remove"}),
            node("c", "add_tag", {"tag": "new"}),
        )
    ).start()

    assert Customer.objects.get().tags == ["kept", "new"]


def test_a_consent_is_recorded_with_its_audit_and_opens_the_gate(passage, customer, news, fake_time):
    customer()
    gate = node("gate", "preference_gate", {"channel": "email", "topic": "news"})
    fields = {
        "consent.news.status": "granted",
        "consent.news.source": {"ref": "entry.page"},
        "consent.news.at": {"ref": "now"},
    }

    before = passage(line(gate)).start()
    passage(line(node("set", "update_profile", {"fields": fields}))).start(context={"page": "footer"})
    after = passage(line(gate)).start()

    assert (before.path[-1], after.path[-1]) == ("no", "done")
    assert before.results["gate"]["reason"] == "no_consent"
    consent = Consent.objects.get()
    assert (consent.status, consent.source, consent.at) == ("granted", "footer", fake_time())
    change = ConsentChange.objects.get()
    assert (change.topic, change.before, change.after, change.source) == ("news", "", "granted", "footer")


def test_a_preference_closes_the_gate(passage, customer, tenant, fake_time):
    customer(preferences={"sms": {"tips": False}})
    Topic.objects.create(tenant=tenant, slug="tips", name="Tips", created_at=fake_time())

    by_mail = passage(line(node("gate", "preference_gate", {"channel": "email", "topic": "tips"}))).start()
    by_sms = passage(line(node("gate", "preference_gate", {"channel": "sms", "topic": "tips"}))).start()

    assert (by_mail.path[-1], by_sms.path[-1]) == ("done", "no")


def test_a_topic_that_is_not_there_is_an_unresolved_reference(tenant):
    graph = line(node("gate", "preference_gate", {"channel": "email", "topic": "gone"}))
    flow = lifecycle.create(tenant, "flow", graph=graph)

    found = publishing.validate(flow.versions.get().graph, tenant)

    assert [(each.code, each.attr) for each in found.errors] == [("unresolved_reference", "graph.nodes.1.config.topic")]


def test_of_a_run_that_fails_nothing_is_kept_but_what_was_recorded(passage, customer):
    customer()
    graph = line(
        node("set", "update_profile", {"fields": {"a": 1}}), node("tag", "add_tag", {"tag": {"ref": "entry.t"}})
    )

    ada = passage(graph).start()

    # The node that set the field is recorded as completed, so that its effect is there; the failed one has none.
    assert (ada.status, ada.path) == ("failed", ["entry", "set"])
    assert Customer.objects.get().properties == {"a": 1}


def test_segments_are_told_of_what_changed(passage, customer, tenant, fake_time):
    customer()
    at = fake_time()
    reads = {"fields": ["plan"], "tags": False, "events": [], "times": False}
    Segment.objects.create(tenant=tenant, slug="s", name="s", rule={}, reads=reads, created_at=at, updated_at=at)

    passage(
        line(node("set", "update_profile", {"fields": {"plan": "pro"}}), node("t", "add_tag", {"tag": "x"}))
    ).start()

    due = SegmentDue.objects.get(participant_id="ada")
    assert (due.reads["fields"], due.reads["tags"]) == (["plan"], True)


def test_a_crowd_costs_as_many_statements_as_one(flow_of, customer, news, monkeypatch):
    fields = {"fields": {"plan": "pro", "consent.news.status": "granted"}}
    gate = node("gate", "preference_gate", {"channel": "email", "topic": "news"})
    flow = flow_of(line(node("set", "update_profile", fields), node("tag", "add_tag", {"tag": "t"}), gate))
    said = []
    execute = connections.Cursor.execute

    def heard(self, statement, *given, **more):
        said.append(statement)
        return execute(self, statement, *given, **more)

    monkeypatch.setattr(connections.Cursor, "execute", heard)

    def statements(names):
        for name in names:
            customer(name)
        triggers.start_many(flow, names)
        said.clear()
        loop.advance(slice_s=20.0)
        return [each for each in said if any(table in each for table in ("customers", "consent", "topics", "segment"))]

    one, many = statements(["one"]), statements([f"many-{n}" for n in range(200)])

    assert one == many
    assert len(one) == 8  # profiles, preferences, consents, topics; locked, saved, noted, and recorded
    run_until_idle()
    assert set(Customer.objects.values_list("properties__plan", flat=True)) == {"pro"}
    assert Consent.objects.count() == Customer.objects.count() == ConsentChange.objects.count()
    assert not FlowInstance.objects.exclude(exit_reason="through").exists()
