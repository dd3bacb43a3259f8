import pytest

from engine.nodes.outcomes import Completed, Failed
from tests.engine.nodes.steps import execute, problems

ADA = {"external_id": "ada", "tags": ["old"]}


def test_it_adds_a_tag():
    outcome = execute("add_tag", {"tag": "vip"}, participant=ADA)

    assert outcome.result == {"status": "added", "tag": "vip"}
    assert outcome.effects[0].add_tags == ("vip",)


def test_it_removes_a_tag():
    outcome = execute("add_tag", {"tag": "old", "action": "remove"}, participant=ADA)

    assert outcome.result == {"status": "removed", "tag": "old"}
    assert outcome.effects[0].remove_tags == ("old",)


@pytest.mark.parametrize("config", [{"tag": "old"}, {"tag": "new", "action": "remove"}])
def test_a_set_does_not_change_twice(config):
    assert execute("add_tag", config, participant=ADA) == Completed({"status": "unchanged", "tag": config["tag"]})


def test_the_tag_may_be_a_reference():
    config = {"tag": {"ref": "entry.tag"}}

    assert execute("add_tag", config, participant=ADA, entry={"tag": "vip"}).effects[0].add_tags == ("vip",)
    assert isinstance(execute("add_tag", config, participant=ADA), Failed)
    assert isinstance(execute("add_tag", config, participant=ADA, entry={"tag": "x" * 65}), Failed)


def test_whoever_has_no_profile_goes_on_without_a_tag():
    assert execute("add_tag", {"tag": "vip"}) == Completed({"status": "no_customer", "tag": "vip"})


@pytest.mark.parametrize("config", [{}, {"tag": ""}, {"tag": "x" * 65}, {"tag": "a", "action": "toggle"}])
def test_what_is_no_tag_is_refused(config):
    assert problems("add_tag", config)
