"""When messages rest: the quiet hours of a flow by the participant's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from engine.graph_settings import QuietHours
from engine.nodes.local_time import instant, zone_of

DAY: Final = timedelta(days=1)
UTC_ZONE: Final = ZoneInfo("UTC")
# Quiet hours that a change of the clocks makes meet each other are gone through this often at most.
MOST: Final = 4


@dataclass(frozen=True, slots=True)
class Closed:
    """A message rests until then, or is left out; after `drop_at` nobody wants it any more."""

    opens_at: datetime
    on_closed: Literal["defer", "skip"]
    drop_at: datetime


def opening(
    quiet_hours: QuietHours | None, channel: str, message_class: str, participant_zone: ZoneInfo | str, now: datetime
) -> datetime | None:
    """
    Give the moment at which a message may go out that may not go out now, or None where it may.

    The hours begin and end by the participant's clock, also over midnight and where the clocks change: a time that is
    skipped is the first one after the gap, one that comes twice is the first. Transactional messages always may.
    """
    if quiet_hours is None or message_class == "transactional":
        return None
    if quiet_hours.channels is not None and channel not in quiet_hours.channels:
        return None
    zone = zone_of(participant_zone) or UTC_ZONE if isinstance(participant_zone, str) else participant_zone
    opens, found = now, _end(quiet_hours, zone, now)
    for _ in range(MOST):
        if found is None:
            break
        opens, found = found, _end(quiet_hours, zone, found)
    return None if opens == now else opens


def closed(
    quiet_hours: QuietHours | None,
    *,
    channel: str,
    message_class: str,
    zone: ZoneInfo | str,
    now: datetime,
    queued_at: datetime,
) -> Closed | None:
    """Say until when a message rests and what becomes of it meanwhile, or None where it may go out now."""
    opens_at = opening(quiet_hours, channel, message_class, zone, now)
    if opens_at is None or quiet_hours is None:
        return None
    return Closed(opens_at, quiet_hours.on_closed, queued_at + quiet_hours.expires_in)


def zone_for(own: str | None, fallback: str) -> ZoneInfo:
    """Give the zone of a participant, or the default where the own is missing or is none."""
    return zone_of(own) or zone_of(fallback) or UTC_ZONE


# The end of the quiet hours that hold this moment, if any do. Those that began the day before may still last.
def _end(hours: QuietHours, zone: ZoneInfo, now: datetime) -> datetime | None:
    today = now.astimezone(zone).date()
    for day in (today - DAY, today):
        begins = instant(day, hours.starts, zone)
        ends = instant(day if hours.starts < hours.ends else day + DAY, hours.ends, zone)
        if begins <= now < ends:
            return ends.astimezone(UTC)
    return None
