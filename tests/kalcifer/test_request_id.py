"""Every answer carries the request's id."""

import pytest


def test_the_clients_id_comes_back(client):
    assert (
        client.get("/api/v1/health", headers={"X-Request-Id": "order-7/retry:2"})["X-Request-Id"] == "order-7/retry:2"
    )


@pytest.mark.parametrize("given", ["", "a" * 129, "with space", "n\u00fcr", "tab\there"])
def test_what_is_not_sane_is_replaced(client, given):
    answered = client.get("/api/v1/health", headers={"X-Request-Id": given})["X-Request-Id"]

    assert answered != given
    assert len(answered) == 32
