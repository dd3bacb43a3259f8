from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from engine.nodes import registry
from engine.nodes.base import Need
from engine.nodes.outcomes import Completed, Failed, Waiting
from tests.engine.nodes.steps import NOON, execute, problems, resume

BERLIN = {"timezone": "Europe/Berlin"}


def moment(config, now=NOON, **facts):
    """The moment waited for, in UTC, as text without its zone."""
    outcome = execute("wait_until", config, now=now, **facts)
    assert isinstance(outcome, Waiting), outcome
    return outcome.until.astimezone(UTC).isoformat()[:16]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestFixed:
    def test_a_moment_with_an_offset_is_that_moment(self):
        assert moment({"datetime": "2026-12-24T09:00:00+01:00"}) == "2026-12-24T08:00"

    def test_without_one_the_zone_decides(self):
        assert moment({"datetime": "2026-12-24T09:00:00", **BERLIN}) == "2026-12-24T08:00"
        assert moment({"datetime": "2026-12-24"}, default_timezone="America/New_York") == "2026-12-24T05:00"

    @pytest.mark.parametrize(
        ("on_past", "ends", "status"), [("continue", False, None), ("skip", False, "skipped"), ("exit", True, None)]
    )
    def test_a_past_moment_is_dealt_with_as_told(self, on_past, ends, status):
        outcome = execute("wait_until", {"datetime": "2026-01-01", "on_past": on_past})
        assert isinstance(outcome, Completed)
        assert (outcome.ends, outcome.result.get("status")) == (ends, status)
        assert outcome.reason == ("past_date" if ends else "")

    def test_it_goes_on_with_what_it_found(self):
        waiting = execute("wait_until", {"datetime": "2026-12-24T09:00:00+01:00", **BERLIN})
        outcome = resume("wait_until", {"datetime": "2026-12-24"}, wait=waiting.data)
        assert outcome.result == {
            "timezone": "Europe/Berlin",
            "until": "2026-12-24T08:00:00Z",
            "local": "2026-12-24T09:00:00+01:00",
        }


class TestFromField:
    CONFIG: ClassVar = {"mode": "from_field", "path": "entry.trial_ends_at"}

    def test_an_offset_without_a_time_is_elapsed_time(self):
        config = {**self.CONFIG, "offset": "-12h"}
        assert moment(config, entry={"trial_ends_at": "2026-06-20T10:00:00Z"}) == "2026-06-19T22:00"

    def test_with_a_time_it_counts_days_of_the_calendar(self):
        config = {**self.CONFIG, "offset": "-2d", "time": "10:00", "timezone": "participant"}
        facts = {"entry": {"trial_ends_at": "2026-06-30T23:30:00Z"}, "participant": {"timezone": "Asia/Tokyo"}}
        assert moment(config, **facts) == "2026-06-29T01:00"  # July 1st in Tokyo, less two days, at ten there

    def test_days_of_the_calendar_are_not_24_hours_across_a_clock_change(self):
        config = {**self.CONFIG, "offset": "1d", "time": "09:00", **BERLIN}
        facts = {"entry": {"trial_ends_at": "2026-10-24T07:00:00Z"}, "now": utc("2026-10-24T00:00")}
        assert moment(config, **facts) == "2026-10-25T08:00"

    @pytest.mark.parametrize("value", [None, "soon", 20260620, {}, "9999-12-31T23:59:59-12:00"])
    def test_what_is_no_date_is_missing(self, value):
        config = {**self.CONFIG, "offset": "1d"}
        outcome = execute("wait_until", config, entry={"trial_ends_at": value})
        assert (outcome.ends, outcome.reason) == (True, "missing_date")

    def test_a_missing_date_is_dealt_with_as_told(self):
        outcome = execute("wait_until", {**self.CONFIG, "on_missing": "continue"})
        assert outcome == Completed({"timezone": "UTC", "status": "skipped", "reason": "missing_date"})
        outcome = execute("wait_until", {**self.CONFIG, "on_missing": "fail"})
        assert isinstance(outcome, Failed)
        assert (outcome.code, outcome.retryable) == ("missing_date", False)


class TestNextLocalTime:
    WEEKDAYS: ClassVar = {
        "mode": "next_local_time",
        "time": "09:30",
        "days": ["mon", "tue", "wed", "thu", "fri"],
        **BERLIN,
    }

    def test_today_when_it_is_still_to_come(self):
        assert moment(self.WEEKDAYS, now=utc("2026-06-17T07:00")) == "2026-06-17T07:30"

    def test_tomorrow_when_it_is_past(self):
        assert moment(self.WEEKDAYS, now=utc("2026-06-17T07:31")) == "2026-06-18T07:30"

    def test_after_the_week_end(self):
        assert moment(self.WEEKDAYS, now=utc("2026-06-19T12:00")) == "2026-06-22T07:30"

    def test_on_a_week_from_today_when_only_this_day_counts(self):
        config = {**self.WEEKDAYS, "days": ["wed"]}
        assert moment(config, now=utc("2026-06-17T08:00")) == "2026-06-24T07:30"

    def test_at_once_when_it_is_that_time(self):
        assert isinstance(execute("wait_until", self.WEEKDAYS, now=utc("2026-06-17T07:30")), Completed)

    def test_at_once_within_the_window(self):
        config = {**self.WEEKDAYS, "not_after": "18:00"}
        assert isinstance(execute("wait_until", config, now=utc("2026-06-17T12:00")), Completed)
        assert moment(config, now=utc("2026-06-17T16:01")) == "2026-06-18T07:30"
        assert moment(config, now=utc("2026-06-20T12:00")) == "2026-06-22T07:30"

    def test_the_weekday_is_the_local_one(self):
        config = {"mode": "next_local_time", "time": "08:00", "days": ["thu"], "timezone": "Pacific/Auckland"}
        assert moment(config, now=utc("2026-06-17T13:00")) == "2026-06-17T20:00"

    def test_a_time_that_the_clock_skips_is_the_first_after_the_gap(self):
        config = {"mode": "next_local_time", "time": "02:30", **BERLIN}
        assert moment(config, now=utc("2026-03-28T12:00")) == "2026-03-29T01:00"

    def test_a_time_that_comes_twice_is_the_first(self):
        config = {"mode": "next_local_time", "time": "02:30", **BERLIN}
        assert moment(config, now=utc("2026-10-24T12:00")) == "2026-10-25T00:30"
        assert moment(config, now=utc("2026-10-25T00:31")) == "2026-10-26T01:30"


class TestZone:
    CONFIG: ClassVar = {"mode": "next_local_time", "time": "18:00", "timezone": "participant"}

    def chosen(self, participant):
        return execute("wait_until", self.CONFIG, participant=participant, default_timezone="Europe/London").data

    def test_the_participants_own(self):
        assert self.chosen({"timezone": "Europe/Berlin"})["timezone"] == "Europe/Berlin"

    @pytest.mark.parametrize("value", ["GMT+2", "", None, 3, "Europe", "../etc/passwd", ["x"]])
    def test_an_invalid_one_never_fails_a_run_but_is_noted(self, value):
        data = self.chosen({"timezone": value})
        assert data["timezone"] == "Europe/London"
        assert data["timezone_note"]

    def test_a_participant_without_a_profile_has_the_default(self):
        assert self.chosen(None)["timezone_note"] == "default; participant has none"

    def test_it_needs_the_profile_for_that(self):
        config = registry.parse_config("wait_until", self.CONFIG)
        assert registry.get("wait_until").needs_of(config) == (Need.PROFILE,)


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({}, ""),
        ({"mode": "from_field"}, ""),
        ({"mode": "next_local_time"}, ""),
        ({"datetime": "tomorrow"}, "datetime"),
        ({"datetime": "2026-01-01", "offset": "1d"}, ""),
        ({"path": "trial_ends_at"}, "path"),
        ({"path": "entry.x", "time": "10:00", "offset": "5h"}, ""),
        ({"mode": "next_local_time", "time": "10:00", "days": []}, "days"),
        ({"mode": "next_local_time", "time": "10:00", "days": ["monday"]}, "days.0"),
        ({"mode": "next_local_time", "time": "10:00", "not_after": "09:00"}, ""),
        ({"mode": "next_local_time", "time": "10:00", "timezone": "Mars/Base"}, "timezone"),
    ],
)
def test_mistakes_are_named(config, place):
    assert place in problems("wait_until", config)


def test_every_time_of_a_year_is_found_by_every_clock():
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"):
        for hour in range(0, 366 * 24, 7):
            now = utc("2026-01-01T00:00") + timedelta(hours=hour)
            outcome = execute("wait_until", {"mode": "next_local_time", "time": "02:15", "timezone": zone}, now=now)
            reached = now if isinstance(outcome, Completed) else outcome.until
            assert timedelta() <= reached - now <= timedelta(hours=25, minutes=30)
