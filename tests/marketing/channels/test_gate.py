"""A channel's rate and its rests, shared by all processes."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from engine.connections import execute
from marketing.channels import accounts, gate
from marketing.channels.provider import Accepted, Permanent, Transient, Unknown
from marketing.models import ChannelGate
from tests.support.races import at_once

DOWN, FINE = Transient("http_503"), Accepted("1")


@pytest.fixture
def mail(channel_of):
    return accounts.account_of(channel_of())


def rests(account) -> float:
    allowed, pause = gate.pass_many(account, 10)
    assert allowed == 0
    return pause.total_seconds()


def time_passes(account, seconds: float) -> None:
    """As if the row had been written so much earlier."""
    execute(
        "UPDATE channel_gates SET refilled_at = refilled_at - make_interval(secs => %(s)s::float8),"
        " closed_until = closed_until - make_interval(secs => %(s)s::float8) WHERE channel_id = %(id)s",
        {"s": seconds, "id": account.channel_id},
    )


def test_without_a_rate_everything_passes(mail):
    assert gate.pass_many(mail, 1000) == (1000, None)
    gate.tell(mail, [FINE] * 1000)

    assert not ChannelGate.objects.exists()


def test_what_is_built_in_has_no_gate(tenant):
    inbox = accounts.account_for(tenant.pk, "in_app")

    assert gate.pass_many(inbox, 7) == (7, None)
    gate.tell(inbox, [DOWN] * 100)
    assert gate.pass_many(inbox, 7) == (7, None)


def test_a_rate_lets_so_many_through_a_second(mail):
    mail = replace(mail, rate_per_second=10)
    began = time.monotonic()

    def passes(count: int, expected: int, pause: float) -> None:
        allowed, rest = gate.pass_many(mail, count)
        # Each real tenth of a second is one message more, and so much less to wait for.
        late = int((time.monotonic() - began) * 10) + 1
        assert expected <= allowed <= expected + late
        assert rest is None or pause - late / 10 <= rest.total_seconds() <= pause

    passes(4, 4, 0)
    passes(500, 6, 1)
    passes(500, 0, 1)
    time_passes(mail, 0.5)
    passes(500, 5, 1)
    time_passes(mail, 3_600)
    assert gate.pass_many(mail, 1_000)[0] == 10


def test_several_who_ask_at_once_share_the_rate(mail):
    mail = replace(mail, rate_per_second=10)
    began = time.monotonic()

    given = at_once([lambda: gate.pass_many(mail, 6)[0]] * 4)

    assert 10 <= sum(given) <= 10 * (1 + time.monotonic() - began)
    assert max(given) == 6


def test_failures_in_a_row_close_the_gate_and_one_try_opens_it(mail):
    gate.tell(mail, [DOWN] * 4)
    assert gate.pass_many(mail, 10) == (10, None)
    gate.tell(mail, [Unknown("timeout")])
    assert 0 < rests(mail) <= gate.REST_S

    time_passes(mail, gate.REST_S)
    allowed, pause = gate.pass_many(mail, 10)
    assert allowed == 1
    assert 0 < pause.total_seconds() <= gate.TRY_S
    assert gate.pass_many(mail, 10)[0] == 0

    gate.tell(mail, [FINE])
    assert gate.pass_many(mail, 10) == (10, None)


def test_a_failed_try_doubles_the_rest_and_late_failures_do_not(mail):
    gate.tell(mail, [DOWN] * 5)
    gate.tell(mail, [DOWN] * 5)
    gate.tell(mail, [DOWN] * 5)
    assert rests(mail) <= gate.REST_S

    time_passes(mail, gate.REST_S)
    assert gate.pass_many(mail, 10)[0] == 1
    gate.tell(mail, [DOWN])
    gate.tell(mail, [DOWN] * 5)

    assert gate.REST_S < rests(mail) <= 2 * gate.REST_S


def test_a_try_whose_worker_died_is_made_again(mail):
    gate.tell(mail, [DOWN] * 5)
    time_passes(mail, gate.REST_S)
    assert gate.pass_many(mail, 10)[0] == 1

    time_passes(mail, gate.TRY_S)
    assert gate.pass_many(mail, 10)[0] == 1


def test_a_provider_that_refuses_is_well(mail):
    gate.tell(mail, [DOWN] * 4)
    gate.tell(mail, [Permanent("invalid_address")])
    gate.tell(mail, [DOWN] * 4)

    assert gate.pass_many(mail, 10) == (10, None)


def test_a_provider_that_asks_for_a_rest_gets_it(mail):
    gate.tell(mail, [FINE, Transient("rate_limited", retry_after=timedelta(seconds=60))])

    assert 55 < rests(mail) <= 60


def test_channels_rest_each_for_itself(channel_of):
    one = accounts.account_of(channel_of())
    other = accounts.account_of(channel_of(channel="sms"))
    gate.tell(one, [DOWN] * 5)

    assert gate.pass_many(one, 1)[0] == 0
    assert gate.pass_many(other, 1) == (1, None)
