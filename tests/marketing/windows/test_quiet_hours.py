"""Quiet hours: over midnight, where the clocks change, and for whom they count."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph_settings import QuietHours, parse_settings
from marketing import windows

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC")


def hours(starts: str = "22:00", ends: str = "08:00", **more: Any) -> QuietHours:
    found = parse_settings({"quiet_hours": {"from": starts, "to": ends, **more}}).quiet_hours
    assert found is not None
    return found


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opens(quiet: QuietHours | None, now: datetime, zone: Any = BERLIN, *, of: str = "marketing") -> datetime | None:
    return windows.opening(quiet, "email", of, zone, now)


@pytest.mark.parametrize(
    ("now", "opening"),
    [
        ("2030-01-10 20:59", None),  # 21:59 in Berlin
        ("2030-01-10 21:00", "2030-01-11 07:00"),
        ("2030-01-11 00:30", "2030-01-11 07:00"),
        ("2030-01-11 06:59", "2030-01-11 07:00"),
        ("2030-01-11 07:00", None),
    ],
)
def test_the_hours_go_over_midnight_by_the_participants_clock(now: str, opening: str | None) -> None:
    assert opens(hours(), utc(now)) == (opening and utc(opening))


def test_the_hours_of_one_day_end_on_it() -> None:
    siesta = hours("13:00", "15:30")

    assert opens(siesta, utc("2030-07-01 11:00")) == utc("2030-07-01 13:30")
    assert opens(siesta, utc("2030-07-01 13:30")) is None
    assert opens(siesta, utc("2030-07-01 10:59")) is None


def test_without_quiet_hours_and_on_other_channels_nothing_rests() -> None:
    night = utc("2030-01-11 00:30")

    assert opens(None, night) is None
    assert opens(hours(channels=["sms"]), night) is None
    assert opens(hours(channels=["sms", "email"]), night) is not None


def test_transactional_messages_pass_and_service_messages_do_not() -> None:
    night = utc("2030-01-11 00:30")

    assert opens(hours(), night, of="transactional") is None
    assert opens(hours(), night, of="service") == utc("2030-01-11 07:00")


def test_an_end_that_the_clock_skips_is_the_moment_after_the_gap() -> None:
    # On 31 March 2030 clocks in Berlin go from 02:00 to 03:00, which is 01:00 UTC.
    assert opens(hours("22:00", "02:30"), utc("2030-03-30 23:00")) == utc("2030-03-31 01:00")


def test_an_end_that_comes_twice_is_the_first_of_them() -> None:
    # On 27 October 2030 clocks in Berlin go from 03:00 back to 02:00, which is 01:00 UTC.
    assert opens(hours("22:00", "02:30"), utc("2030-10-26 23:00")) == utc("2030-10-27 00:30")
    assert opens(hours("22:00", "02:30"), utc("2030-10-27 01:10")) is None


def test_hours_that_a_gap_swallows_do_not_hold_anything_up() -> None:
    assert opens(hours("02:05", "02:55"), utc("2030-03-31 01:00")) is None


def test_hours_that_a_gap_makes_meet_end_at_the_last_of_them() -> None:
    # From 02:45 to 02:15 the next day: both fall into the gap, so that one night ends where the next begins.
    assert opens(hours("02:45", "02:15"), utc("2030-03-31 00:30")) == utc("2030-04-01 00:15")


def test_a_name_that_is_no_zone_means_the_default() -> None:
    assert windows.zone_for("Mars/Olympus", "Europe/Berlin") == BERLIN
    assert windows.zone_for("", "Europe/Berlin") == BERLIN
    assert windows.zone_for("Asia/Tokyo", "Europe/Berlin") == ZoneInfo("Asia/Tokyo")
    assert windows.zone_for(None, "nowhere").key == "UTC"
    assert opens(hours(), utc("2030-01-10 22:30"), "no zone") == utc("2030-01-11 08:00")


def test_what_rests_is_deferred_or_skipped_and_dropped_when_nobody_wants_it_any_more() -> None:
    night, facts = utc("2030-01-11 00:30"), {"channel": "email", "message_class": "marketing", "zone": BERLIN}

    def closed(quiet: QuietHours, now: datetime = night) -> windows.Closed | None:
        return windows.closed(quiet, now=now, queued_at=night, **facts)

    assert closed(hours()) == windows.Closed(utc("2030-01-11 07:00"), "defer", night + timedelta(hours=72))
    skipping = closed(hours(on_closed="skip", expires_in="2h"))
    assert skipping is not None
    assert (skipping.on_closed, skipping.drop_at) == ("skip", night + timedelta(hours=2))
    assert closed(hours(), utc("2030-01-11 12:00")) is None


moments = st.datetimes(datetime(2029, 1, 1), datetime(2031, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@settings(max_examples=300, deadline=None)
@given(moments, times, times, st.sampled_from(ZONES))
def test_whatever_rests_goes_out_later_and_then_it_may(now: datetime, starts: time, ends: time, zone: str) -> None:
    if starts == ends:
        return
    quiet = hours(starts.isoformat("minutes"), ends.isoformat("minutes"))

    opening = opens(quiet, now, zone)

    if opening is not None:
        assert opening > now
        assert opens(quiet, opening, zone) is None
        assert opens(quiet, opening - timedelta(seconds=1), zone) == opening


@settings(max_examples=300, deadline=None)
@given(moments, times, times, st.sampled_from(ZONES))
def test_away_from_changes_of_the_clocks_the_wall_clock_alone_decides(
    now: datetime, starts: time, ends: time, zone: str
) -> None:
    local = ZoneInfo(zone)
    offsets = {(now + timedelta(hours=each)).astimezone(local).utcoffset() for each in range(-48, 49)}
    if starts == ends or len(offsets) > 1:
        return
    wall = now.astimezone(local).time()
    rests = starts <= wall < ends if starts < ends else wall >= starts or wall < ends

    opening = opens(hours(starts.isoformat("minutes"), ends.isoformat("minutes")), now, zone)

    assert (opening is not None) == rests
    if opening is not None:
        assert opening.astimezone(local).time() == ends
        assert opening - now <= timedelta(days=1)
