import pytest

from engine.nodes import registry
from engine.nodes.outcomes import Branched
from engine.ports import Preferences
from tests.engine.nodes.steps import execute, problems

CONFIG = {"channel": "email", "topic": "news"}


def gate(**said):
    return execute("preference_gate", CONFIG, preferences=Preferences(**said))


YES = Branched("true", {"matched": True, "reason": None})
UNSUBSCRIBED = Branched("false", {"matched": False, "reason": "unsubscribed"})
NO_CONSENT = Branched("false", {"matched": False, "reason": "no_consent"})


def test_silence_means_yes_unless_the_topic_is_opt_in():
    assert execute("preference_gate", CONFIG) == YES
    assert gate() == YES
    assert gate(opt_in=frozenset({"other"})) == YES
    assert gate(opt_in=frozenset({"news"})) == NO_CONSENT


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"email": {"news": True}}, YES),
        ({"email": {"news": False}}, UNSUBSCRIBED),
        ({"email": {"*": False, "news": True}}, UNSUBSCRIBED),
        ({"sms": {"news": False}, "email": {"tips": False}}, YES),
    ],
)
def test_a_preference_counts_on_its_channel_and_topic(said, answer):
    assert gate(channels=said) == answer


@pytest.mark.parametrize(
    ("status", "answer"),
    [("granted", YES), ("denied", NO_CONSENT), ("expired", NO_CONSENT), ("withdrawn", UNSUBSCRIBED)],
)
def test_a_consent_counts_on_every_channel(status, answer):
    assert gate(consents={"news": status}, opt_in=frozenset({"news"})) == answer


def test_a_no_of_either_kind_is_a_no():
    assert gate(channels={"email": {"news": False}}, consents={"news": "granted"}) == UNSUBSCRIBED
    assert gate(channels={"email": {"news": True}}, consents={"news": "expired"}) == NO_CONSENT


def test_a_yes_on_the_channel_is_enough_for_an_opt_in_topic():
    assert gate(channels={"email": {"news": True}}, opt_in=frozenset({"news"})) == YES


def test_it_names_its_topic():
    config = registry.parse_config("preference_gate", CONFIG)

    assert [(each.kind, each.name) for each in registry.get("preference_gate").references_of(config)] == [
        ("topic", "news")
    ]


@pytest.mark.parametrize("config", [{}, {"channel": "pigeon"}, {"channel": "email", "topic": ""}])
def test_what_is_no_channel_is_refused(config):
    assert problems("preference_gate", config)
