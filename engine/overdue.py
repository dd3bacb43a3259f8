"""
What resuming a flow does to its instances: whoever was held goes on, and what became due follows the operator's choice.

Called in the transaction that resumes the flow, with the flow's row locked. Instances that are paused themselves stay
paused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from engine import bells, operations
from engine.bells import Bell
from engine.connections import execute
from engine.execution import batch, rows, write
from engine.execution.burst import Burst
from engine.moments import iso
from flows.lifecycle import Overdue, Resumption

JSON = dict[str, Any]
BATCH = 500
METADATA: JSON = {"actor": "resume"}
REASON = "overdue_after_pause"

# Instances come before their timers and activities in the order of locks, and each in the order of its id.
LOCK_ALL = """
    SELECT count(*) FROM (
        SELECT id FROM flow_instances
         WHERE flow_id = %(flow)s AND status IN ('running', 'waiting', 'paused', 'compensating')
         ORDER BY id FOR NO KEY UPDATE) AS locked
"""

# The waits that ended during the pause. One that was due before it was late already, and is not skipped.
FIND_OVERDUE = """
    SELECT DISTINCT i.id::text FROM timers t JOIN flow_instances i ON i.id = t.instance_id
     WHERE i.flow_id = %(flow)s AND i.status IN ('running', 'waiting')
       AND t.due_at > %(paused_at)s AND t.due_at <= %(now)s
     ORDER BY 1
"""

# Everybody with a timer, also a token that waits for an event with a limit.
FIND_TIMED = """
    SELECT DISTINCT i.id::text FROM timers t JOIN flow_instances i ON i.id = t.instance_id
     WHERE i.flow_id = %(flow)s AND i.status IN ('running', 'waiting', 'paused')
     ORDER BY 1
"""
SHIFT = """
    UPDATE timers SET due_at = due_at + %(length)s WHERE instance_id = ANY(%(ids)s::uuid[])
 RETURNING instance_id::text, node_id, due_at
"""
SHIFT_SUBSCRIPTIONS = """
    UPDATE event_subscriptions SET until = until + %(length)s
     WHERE instance_id = ANY(%(ids)s::uuid[]) AND kind = 'wait' AND until IS NOT NULL
"""

# Spreads what is overdue evenly over the period, in the order in which it became due.
SPREAD = """
    WITH late AS (
        SELECT t.id, row_number() OVER (ORDER BY t.due_at, t.id) - 1 AS place, count(*) OVER () AS total
          FROM timers t JOIN flow_instances i ON i.id = t.instance_id
         WHERE i.flow_id = %(flow)s AND i.status IN ('running', 'waiting') AND t.due_at <= %(now)s
    )
    UPDATE timers t SET due_at = %(now)s + %(period)s * (late.place::float8 / late.total) FROM late WHERE t.id = late.id
"""

FREE_TIMERS = """
    UPDATE timers t SET held = false FROM flow_instances i
     WHERE i.id = t.instance_id AND i.flow_id = %(flow)s AND i.status <> 'paused' AND t.held
"""
# Also those that belong to the flow and to none of its runs.
FREE_ACTIVITIES = """
    UPDATE activities a SET held = false
     WHERE a.flow_id = %(flow)s AND a.held AND (a.instance_id IS NULL OR EXISTS (
           SELECT FROM flow_instances i
            WHERE i.id = a.instance_id AND i.status IN ('running', 'waiting', 'compensating')))
"""
NEAR = """
    SELECT DISTINCT date_trunc('milliseconds', t.due_at) FROM timers t JOIN flow_instances i ON i.id = t.instance_id
     WHERE i.flow_id = %(flow)s AND NOT t.held AND t.due_at <= %(horizon)s ORDER BY 1 LIMIT 1000
"""

# Every row, also one whose mark seems to be set: whoever sets marks of this flow aside right now has not committed yet.
# Whoever waits and has had a side effect succeed is looked at too: it may not have been taken up.
MARK_RUNNABLE = """
    UPDATE flow_instances i SET runnable = true
     WHERE flow_id = %(flow)s
       AND (status = 'running' AND current_nodes @> '[{"status": "running"}]'
            OR status = 'waiting' AND EXISTS (
                SELECT FROM activities a WHERE a.instance_id = i.id AND a.status = 'completed'))
"""


def go_on(resumption: Resumption) -> None:
    """Let a flow's instances go on after its pause."""
    flow = {"flow": resumption.flow.pk}
    execute(LOCK_ALL, flow)
    match resumption.overdue:
        case Overdue.SKIP:
            _skip(resumption)
        case Overdue.SHIFT:
            _shift(resumption)
        case Overdue.RUN:
            if resumption.spread_over > timedelta(0):
                execute(SPREAD, flow | {"now": resumption.resumed_at, "period": resumption.spread_over})
    execute(FREE_TIMERS, flow)
    execute(FREE_ACTIVITIES, flow)
    execute(MARK_RUNNABLE, flow)
    _ring(resumption)


def _skip(resumption: Resumption) -> None:
    parameters = {"flow": resumption.flow.pk, "paused_at": resumption.paused_at, "now": resumption.resumed_at}
    for ids in _batches(execute(FIND_OVERDUE, parameters).fetchall()):
        operations.exit_many(ids, code=REASON, detail="Its wait ended while the flow was paused.", metadata=METADATA)


def _shift(resumption: Resumption) -> None:
    length = resumption.resumed_at - resumption.paused_at
    for ids in _batches(execute(FIND_TIMED, {"flow": resumption.flow.pk}).fetchall()):
        locked = rows.lock(ids)
        moved = execute(SHIFT, {"length": length, "ids": ids}).fetchall()
        execute(SHIFT_SUBSCRIPTIONS, {"length": length, "ids": ids})
        bursts: dict[str, Burst] = {}
        for instance_id, node, due_at in moved:
            row = locked[instance_id]
            burst = bursts.get(row.id) or bursts.setdefault(row.id, batch.open_burst(row, resumption.resumed_at))
            _retime(burst, node, due_at)
        write.batch(list(bursts.values()), metadata=METADATA)


def _retime(burst: Burst, node: str, until: datetime) -> None:
    token = burst.state.tokens.get(node)
    if token is not None and token["waiting_for"] is not None:
        burst.record("wait_retimed", {"node": node, "until": iso(until), "reason": "shift"})


def _ring(resumption: Resumption) -> None:
    bells.ring_on_commit(Bell.ADVANCE)
    bells.ring_on_commit(Bell.ACTIVITIES)
    bells.ring_on_commit(Bell.WAKE)
    horizon = resumption.resumed_at + timedelta(minutes=10)
    near = execute(NEAR, {"flow": resumption.flow.pk, "horizon": horizon}).fetchall()
    bells.count_down_on_commit({row[0] for row in near})


def _batches(found: list[tuple[Any, ...]]) -> Iterator[list[str]]:
    ids = iter(row[0] for row in found)
    while some := list(islice(ids, BATCH)):
        yield some
