"""What a message lacks is told when its flow is published, not when it is sent."""

import pytest

from engine import connections
from flows.graph.model import parse
from flows.publishing import registered
from marketing.templates import store
from marketing.templates.checks import messages_can_be_written
from tests.support.graphs import ENTRY, graph


@pytest.fixture
def problems(tenant):
    """Check one sending node of the tenant's."""

    def check(config, node_type="send_email"):
        nodes = {"entry": (*ENTRY, {None: "mail"}), "mail": (node_type, config, {None: "done"}), "done": ("exit", {})}
        return list(messages_can_be_written(parse(graph(nodes)), tenant))

    return check


@pytest.fixture
def statements(monkeypatch):
    """The statements that the store makes, as they are made."""
    seen = []

    def execute(statement, parameters):
        seen.append(statement)
        return connections.execute(statement, parameters)

    monkeypatch.setattr(store, "execute", execute)
    return seen


@pytest.fixture
def welcome(tenant):
    parts = {"subject": "Hi {{ vars.name }}", "text": "{{ vars.code | default: '' }}"}
    return store.create(tenant, "welcome", channel="email", parts=parts, name="Welcome")


def test_publishing_asks_this_check():
    assert messages_can_be_written in registered.checks


def test_a_variable_that_the_node_does_not_give_is_an_error(problems, welcome):
    assert problems({"template_id": "welcome", "vars": {"name": {"ref": "entry.name"}}}) == []

    (found,) = problems({"template_id": "welcome", "vars": {"nmae": "x"}})

    assert (found.code, found.attr, found.node_id) == ("unknown_variable", "graph.nodes.1.config.template_id", "mail")
    assert "`vars` has no `name`; it has nmae." in found.detail


def test_a_template_of_another_channel_is_an_error(problems, welcome):
    (found,) = problems({"template_id": "welcome", "vars": {"name": "x"}}, "send_sms")

    assert found.code == "wrong_channel"


def test_inline_content_is_checked_like_a_stored_one(problems, db):
    found = problems({"content": {"subject": "{{ vars.x }}", "txt": 1, "html": "{{"}, "locales": {"de": {"text": []}}})

    assert {(each.code, each.attr.partition("config.")[2]) for each in found} == {
        ("unknown_variable", "content.subject"),
        ("unknown_field", "content.txt"),
        ("invalid_template", "content.html"),
        ("invalid", "locales.de.text"),
    }


def test_templates_of_other_tenants_and_strange_configs_are_passed_over(problems, other_tenant):
    parts = {"subject": "{{ vars.x }}", "text": "x"}
    store.create(other_tenant, "theirs", channel="email", parts=parts, name="Theirs")

    assert problems({"template_id": "theirs"}) == []
    assert problems({"template_id": ["x"], "content": "x", "vars": 1, "locales": {"de": 1}}) == []


def test_batches_find_templates_in_as_many_queries_as_one(tenant, welcome, statements):
    for number in range(5):
        parts = {"text": str(number)}
        store.create(tenant, f"t{number}", channel="sms", parts=parts, name="t")
    slugs = ["welcome", "gone", *(f"t{number}" for number in range(5))]

    found = store.find_many(tenant.pk, slugs)
    again = store.find_many(tenant.pk, slugs)

    assert statements == [store.IN_USE, store.WORDINGS, store.IN_USE]
    assert found == again
    assert len(found) == 6
    assert found["t3"].parts == {"text": "3"}


def test_a_new_wording_is_what_batches_find_from_then_on(tenant, welcome):
    before = store.find_many(tenant.pk, ["welcome"])["welcome"]

    store.reword(welcome, parts={"subject": "Anew", "text": "Hello."})
    after = store.find_many(tenant.pk, ["welcome"])["welcome"]
    store.use(welcome, 1)

    assert (before.version, after.version, after.parts["subject"]) == (1, 2, "Anew")
    assert store.find_many(tenant.pk, ["welcome"])["welcome"] == before
