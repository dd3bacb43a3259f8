import pytest

from engine.nodes import registry
from engine.nodes.base import Need
from engine.nodes.outcomes import Completed, Failed
from tests.engine.nodes.steps import NOON, execute, problems

ADA = {"external_id": "ada", "properties": {}, "tags": []}


def change(fields, **facts):
    outcome = execute("update_profile", {"fields": fields}, participant=ADA, run={"flow": "f-1"}, **facts)
    assert isinstance(outcome, Completed)
    return outcome.effects[0]


def test_it_sets_values_and_what_references_stand_for():
    made = change(
        {"plan": "pro", "address.city": {"ref": "entry.city"}, "seen": {"ref": "now"}}, entry={"city": "Bonn"}
    )

    assert made.fields == {"plan": "pro", "address.city": "Bonn", "seen": "2026-06-17T12:00:00Z"}
    assert (made.participant_id, made.source, made.at) == ("ada", "flow:f-1", NOON)


def test_a_reference_to_nothing_leaves_a_field_and_null_takes_it_away():
    assert change({"plan": {"ref": "entry.plan"}, "old": None}).fields == {"old": None}
    assert change({"plan": {"ref": "entry.plan", "default": "free"}}).fields == {"plan": "free"}


def test_it_tells_what_it_set():
    outcome = execute("update_profile", {"fields": {"b": 1, "a": 2}}, participant=ADA)

    assert outcome.result == {"status": "updated", "fields": ["a", "b"]}


def test_whoever_has_no_profile_goes_on_without_one():
    outcome = execute("update_profile", {"fields": {"plan": "pro"}})

    assert outcome == Completed({"status": "no_customer", "fields": []})


def test_a_consent_that_says_nothing_fails():
    config = {"fields": {"consent.news.status": {"ref": "entry.said"}}}

    assert execute("update_profile", config, participant=ADA, entry={"said": "granted"}).effects
    outcome = execute("update_profile", config, participant=ADA, entry={"said": "perhaps"})
    assert isinstance(outcome, Failed)
    assert outcome.code == "invalid_consent"


def test_it_names_the_topics_of_its_consents():
    config = registry.parse_config(
        "update_profile", {"fields": {"consent.news.status": "granted", "consent.news.source": "page"}}
    )

    assert [(each.kind, each.name) for each in registry.get("update_profile").references_of(config)] == [
        ("topic", "news")
    ]
    assert registry.get("update_profile").needs_of(config) == (Need.PROFILE,)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"external_id": "bob"},
        {"tags": ["a"]},
        {"a..b": 1},
        {"": 1},
        {"consent.news": "granted"},
        {"consent.news.mood": "good", "consent.news.status": "granted"},
        {"consent.news.at": "2026-01-01"},
        {"consent.news.status": "maybe"},
    ],
)
def test_what_cannot_be_set_is_refused(fields):
    assert problems("update_profile", {"fields": fields})
