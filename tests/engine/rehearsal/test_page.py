"""The page in the admin on which a version is tried out."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from flows import versions
from flows.models import FlowInstance
from tests.engine.rehearsal.test_rehearsing import ASK
from tests.support.graphs import ENTRY, graph


@pytest.fixture
def operator(client, transactional_db):
    client.force_login(get_user_model().objects.create_superuser("ada", "ada@example.com", "x"))
    return client


@pytest.fixture
def version(flow_of):
    return flow_of(ASK).active_version


@pytest.fixture
def address(version):
    return reverse("admin:flows_flowversion_test", args=[version.pk])


def test_the_page_of_a_version_leads_to_it(operator, version, address):
    page = operator.get(reverse("admin:flows_flowversion_change", args=[version.pk]))

    assert b'href="../test/"' in page.content
    assert b"Rehearse" in operator.get(address).content


def test_every_wait_and_side_effect_can_be_chosen(operator, address):
    given = {
        "entry": "{}", "answer:event": "answered", "answer:after": "2h", "answer:data": '{"yes": true}',
        "call:result": '{"response": "thanks"}', "begins_at": "2030-01-01T12:00:00Z",
    }  # fmt: skip

    page = operator.post(address, given).content.decode()

    assert "It completes after 26 hours: goal." in page
    assert "waited for answered until 2030-01-04 12:00 UTC; went on by answered; took event_received" in page
    assert FlowInstance.objects.count() == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"answer:event": "answered", "answer:after": "soon"}, "events.0.after"),
        ({"participant": "{"}, "errorlist"),
        ({"participant": '"Ada"'}, "participant"),
        ({"events": "7"}, "events.0"),
        ({"entry": '"text"'}, "entry"),
        ({"begins_at": "tomorrow"}, "begins_at"),
        ({"entry": '{"name": "\\ud800"}'}, "surrogate"),
        ({"entry": '{"number": 1e999}'}, "number"),
        ({"participant_id": "a\0"}, "Null characters"),
        ({"participant": '{"email": "a\\u0000@example.com"}'}, "NUL"),
    ],
)
def test_what_makes_no_sense_is_told_on_the_page(operator, address, given, told):
    page = operator.post(address, given)

    assert page.status_code == 200
    assert told in page.content.decode()
    assert b'id="path"' not in page.content


def test_a_graph_that_could_not_run_says_why(operator, version):
    broken = graph({"entry": (*ENTRY, {None: "end"}), "end": ("no_such_type", {})})
    draft = versions.create_draft(version.flow, broken)
    address = reverse("admin:flows_flowversion_test", args=[draft.pk])

    assert "no node type" in operator.post(address, {"entry": "{}"}).content.decode()


@pytest.mark.parametrize("settings", [{"reentry": "sometimes"}, {"goal": 7}])
def test_a_draft_with_broken_settings_has_a_page(operator, version, settings):
    draft = versions.create_draft(version.flow, ASK | {"settings": settings})
    address = reverse("admin:flows_flowversion_test", args=[draft.pk])

    assert operator.get(address).status_code == 200
    assert operator.post(address, {"entry": "{}"}).status_code == 200


def test_it_is_for_those_who_may_change_versions(client, address):
    client.force_login(get_user_model().objects.create_user("bob", is_staff=True))

    assert client.get(address).status_code == 404


def test_messages_are_shown_as_they_would_arrive(operator, flow_of):
    content = {"subject": "Hi {{ participant.name }}", "html": "<b>{{ vars.city }}</b>"}
    mail = ("send_email", {"content": content, "vars": {"city": {"ref": "entry.city"}}})
    draft = versions.create_draft(
        flow_of(ASK), graph({"entry": (*ENTRY, {None: "mail"}), "mail": (*mail, {None: "end"}), "end": ("exit", {})})
    )
    address = reverse("admin:flows_flowversion_test", args=[draft.pk])

    page = operator.post(address, {"entry": '{"city": "<Ulm>"}', "participant": '{"name": "Ada", "email": "a@b.de"}'})

    text = page.content.decode()
    assert "email from mail to a@b.de: delivered" in text
    assert 'srcdoc="&lt;b&gt;&amp;lt;Ulm&amp;gt;&lt;/b&gt;"' in text
    assert "messagelist" not in text.split("errornote")[0].split('id="rehearsal"')[0]
