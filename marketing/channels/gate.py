"""
How much may go through a channel now: its rate, and a rest for a provider that is in trouble.

Both stand in one row per channel in PostgreSQL. All processes share it, it survives the broker, and it costs one short
statement for a whole group of messages; estimates per process would break a provider's limit as soon as there are two
workers, and a rest that only one of them keeps is none. A limit of the provider's own making (429) is a rest too, for
as long as it asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from engine.connections import execute
from marketing.channels.provider import Accepted, Account, Permanent, Transient, Unknown, Verdict

# So many failures in a row close the gate; each closing in a row doubles the rest.
PATIENCE: Final = 5
REST_S: Final = 5.0
LONGEST_REST_S: Final = 300.0
# A try that is under way keeps others from trying for as long.
TRY_S: Final = 30.0
A_MOMENT: Final = timedelta(milliseconds=10)

# What a rested gate lets through is one message, by whoever is first: it closes the gate again for the time of the try.
# A gate without a row is open and full.
TAKE = """
    WITH gate AS (
        SELECT channel_id, closed_until,
               least(%(rate)s::float8, tokens + %(rate)s * greatest(0,
                   extract(epoch FROM clock_timestamp() - refilled_at)))::float8 AS filled
          FROM channel_gates WHERE channel_id = %(id)s FOR NO KEY UPDATE
    ), allowed AS (
        SELECT channel_id, filled, closed_until,
               CASE WHEN closed_until > clock_timestamp() THEN 0
                    WHEN closed_until IS NOT NULL THEN least(1, floor(coalesce(filled, 1)))
                    ELSE least(%(count)s::int, floor(coalesce(filled, %(count)s::int))) END::int AS allowed
          FROM gate
    )
    UPDATE channel_gates g
       SET tokens = coalesce(a.filled - a.allowed, 0), refilled_at = clock_timestamp(),
           failures = CASE WHEN g.closed_until IS NULL OR a.allowed = 0 THEN g.failures ELSE 0 END,
           closed_until = CASE WHEN g.closed_until IS NULL OR a.allowed = 0 THEN g.closed_until
                               ELSE clock_timestamp() + make_interval(secs => %(try)s::float8) END
      FROM allowed a WHERE g.channel_id = a.channel_id
    RETURNING a.allowed, greatest(
           extract(epoch FROM a.closed_until - clock_timestamp())::float8,
           (least(%(count)s::int - a.allowed, %(rate)s::float8) - (a.filled - a.allowed)) / %(rate)s::float8, 0)
"""
# Without a rate an open gate is only looked at, and nobody waits for its row.
LOOK = "SELECT closed_until IS NOT NULL FROM channel_gates WHERE channel_id = %s"
MAKE = """
    INSERT INTO channel_gates (channel_id, tokens, refilled_at, failures, closings)
    VALUES (%s, %s, clock_timestamp(), 0, 0) ON CONFLICT (channel_id) DO NOTHING
"""
OPEN = """
    UPDATE channel_gates SET failures = 0, closings = 0, closed_until = NULL
     WHERE channel_id = %s AND (failures > 0 OR closings > 0 OR closed_until IS NOT NULL)
"""
# One failure too many closes the gate, and so does a failed try, which is known by its 0. What others had under way
# when the gate was closed fails too, and prolongs nothing.
CLOSES = "CASE WHEN closed_until IS NULL THEN failures + %(failed)s >= %(patience)s ELSE failures = 0 END"
FAIL = f"""
    UPDATE channel_gates
       SET failures = least(failures + %(failed)s, 1000000),
           closings = least(closings + ({CLOSES})::int, 100),
           closed_until = CASE WHEN {CLOSES} THEN clock_timestamp() + make_interval(secs =>
               least(%(longest)s::float8, %(rest)s::float8 * 2 ^ least(closings, 20))) ELSE closed_until END
     WHERE channel_id = %(id)s
"""
REST = """
    UPDATE channel_gates
       SET closed_until = greatest(closed_until, clock_timestamp() + make_interval(secs => %(s)s::float8))
     WHERE channel_id = %(id)s
"""


def pass_many(account: Account, count: int) -> tuple[int, timedelta | None]:
    """
    Tell how many of `count` messages may go now, and when the rest may be tried.

    Passed is spent. With a rate the gate's row stays locked to the end of the caller's transaction: ask last in it, and
    ask several accounts in the order of their ids.
    """
    if account.channel_id is None or count < 1:
        return count, None
    rate = account.rate_per_second
    if not rate and not _is_closed(account):
        return count, None
    asked = {"id": account.channel_id, "count": count, "rate": rate, "try": TRY_S}
    taken = execute(TAKE, asked).fetchall()
    if not taken:
        execute(MAKE, [account.channel_id, float(rate or 0)])
        taken = execute(TAKE, asked).fetchall()
    ((allowed, seconds),) = taken
    return allowed, None if allowed >= count else max(A_MOMENT, timedelta(seconds=seconds))


def tell(account: Account, verdicts: Sequence[Verdict]) -> None:
    """Learn from what came of messages; a provider that took or refused one for good is well."""
    if account.channel_id is None or not verdicts:
        return
    rests = [each.retry_after for each in verdicts if isinstance(each, Transient) and each.retry_after is not None]
    failed = sum(isinstance(each, Transient | Unknown) for each in verdicts)
    if any(isinstance(each, Accepted | Permanent) for each in verdicts):
        execute(OPEN, [account.channel_id])
    elif failed > len(rests):
        execute(MAKE, [account.channel_id, float(account.rate_per_second or 0)])
        facts = {"id": account.channel_id, "failed": failed, "patience": PATIENCE}
        execute(FAIL, {**facts, "rest": REST_S, "longest": LONGEST_REST_S})
    if rests:
        execute(MAKE, [account.channel_id, float(account.rate_per_second or 0)])
        seconds = min(max(rests).total_seconds(), 86_400)
        execute(REST, {"id": account.channel_id, "s": seconds})


def reopen(channel_id: UUID) -> None:
    """Let messages through again: somebody knows that the provider is well."""
    execute(OPEN, [channel_id])


def _is_closed(account: Account) -> bool:
    row = execute(LOOK, [account.channel_id]).fetchone()
    return row is not None and bool(row[0])
