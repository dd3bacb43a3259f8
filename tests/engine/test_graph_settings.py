import json
from pathlib import Path

import pytest

from engine.graph_settings import parse_settings
from engine.nodes.errors import InvalidConfig

JOURNEYS = sorted((Path(__file__).parents[1] / "journeys").glob("*.json"))


def problems(raw):
    with pytest.raises(InvalidConfig) as raised:
        parse_settings(raw)
    return {problem.path: problem.message for problem in raised.value.problems}


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda path: path.stem)
def test_the_journeys_settings_are_read(journey):
    raw = json.loads(journey.read_text())["settings"]
    settings = parse_settings(raw)
    assert settings.reentry == raw["reentry"]
    assert settings.goal.name == raw["goal"]["name"]


def test_no_settings_are_the_defaults():
    settings = parse_settings({})
    assert settings.reentry == "once_at_a_time"
    assert settings.priority == 50
    assert settings.exit_criteria.on_event == ()
    assert settings.on_failure == "fail"


def test_what_ends_a_run_may_be_written_shortly():
    def read(on_event):
        return [
            item.event_type for item in parse_settings({"exit_criteria": {"on_event": on_event}}).exit_criteria.on_event
        ]

    assert read("a") == read({"event_type": "a"}) == read(["a"]) == ["a"]
    assert read(["a", {"event_type": "b", "filter": {}}]) == ["a", "b"]
    assert read(None) == []


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"reentry": "twice"}, "reentry"),
        ({"reentry": "per_key"}, "correlation_key"),
        ({"reentry": "per_key", "correlation_key": "participant.x"}, "correlation_key"),
        ({"reentry": "after_interval"}, "reentry_interval"),
        ({"default_timezone": "GMT+2"}, "default_timezone"),
        ({"default_timezone": "Europe"}, "default_timezone"),
        ({"priority": 101}, "priority"),
        ({"priority": True}, "priority"),
        ({"quiet_hours": {"from": "24:00", "to": "08:00"}}, "quiet_hours.from"),
        ({"quiet_hours": {"from": "08:00", "to": "08:00"}}, "quiet_hours.to"),
        ({"quiet_hours": {"from": "22:00", "to": "08:00", "channels": ["e-mail"]}}, "quiet_hours.channels.0"),
        ({"frequency_cap": {"channel": "e-mail"}}, "frequency_cap.channel"),
        (
            {"exit_criteria": {"on_event": ["a", {"event_type": "b", "filter": {"op": "eq"}}]}},
            "exit_criteria.on_event.1.filter.path",
        ),
        ({"goal": {}}, "goal.name"),
        ({"prio": 1}, "prio"),
        ([], ""),
    ],
)
def test_a_mistake_is_named_with_its_place(raw, path):
    assert path in problems(raw)


def test_an_unknown_setting_is_told_its_likely_name():
    assert problems({"prio": 1})["prio"] == 'there is no setting "prio"; did you mean "priority"?'
