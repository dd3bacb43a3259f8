from datetime import timedelta

from tests.engine.nodes.steps import NOON, execute


def test_it_is_shown_where_and_until_when_the_author_says():
    config = {"template_id": "banner", "placement": "dashboard", "expiry": "7d"}

    payload = execute("send_in_app", config).effects[0].payload

    assert payload["placement"] == "dashboard"
    assert payload["shown_until"] == (NOON + timedelta(days=7)).isoformat()


def test_without_an_expiry_it_stays():
    assert "shown_until" not in execute("send_in_app", {"template_id": "banner"}).effects[0].payload
