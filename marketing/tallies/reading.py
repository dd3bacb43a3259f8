"""Figures of messages by channel and by node, and of conversions by goal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

from engine.analytics.period import Period
from engine.connections import execute
from engine.execution.burst import HELD_OUT
from flows.models import Flow
from marketing.models import CHANNELS

JSON = dict[str, Any]

WAY: Final = ("queued", "sent", "delivered", "opened", "clicked")
ENDS: Final = ("bounced", "complained", "skipped", "failed", "cancelled", "unknown")
BY_REASON: Final = ("skipped", "failed")
# Each rate, and what it is a share of.
RATES: Final = {
    "delivered": "sent",
    "bounced": "sent",
    "complained": "sent",
    "opened": "delivered",
    "clicked": "delivered",
}
CONVERTED: Final = ("converted", "value", "variant")

# Totals and what is loose, of one tenant and a few kinds.
READ: Final = """
    SELECT subject, node_id, kind, key, sum(n) FROM tallies
     WHERE tenant_id = %(tenant)s AND day BETWEEN %(first)s AND %(last)s AND kind = ANY(%(kinds)s) {narrower}
     GROUP BY subject, node_id, kind, key
"""
NARROWER: Final = {
    "flow_id": "AND flow_id = %(flow_id)s",
    "version": "AND version = %(version)s",
    "node_id": "AND node_id = %(node_id)s",
}

Row = tuple[str, str, str, str, Decimal]


def channels(tenant_id: Any, period: Period, **narrower: Any) -> list[JSON]:
    """
    Give the figures of each channel, zeros where there were no messages.

    Narrower: of a `flow_id`, a `version`, a `node_id`.
    """
    rows = _by(_read(tenant_id, period, (*WAY, *ENDS), **narrower), 0)
    names = dict.fromkeys((*CHANNELS, *sorted(rows)))
    return [{"channel": name, **_figures(rows.get(name, ()))} for name in names]


def messages(flow: Flow, period: Period, version: int | None = None) -> list[JSON]:
    """Give the figures of each node that made messages, with the conversions that are put down to them."""
    rows = _read(flow.tenant_id, period, (*WAY, *ENDS), flow_id=flow.pk, version=version)
    won = _by(_read(flow.tenant_id, period, ("converted",), flow_id=flow.pk, version=version), 1)
    found = []
    for node_id, of_node in sorted(_by(rows, 1).items()):
        converted = int(sum(row[4] for row in won.get(node_id, ())))
        for channel, own in sorted(_by(of_node, 0).items()):
            found.append({"node_id": node_id, "channel": channel, **_figures(own), "conversions": converted})
    return found


def conversions(flow: Flow, period: Period, version: int | None = None) -> list[JSON]:
    """
    Give what was reached in the period: each goal, how often, what it was worth, and what it is put down to.

    `held_out` are those who reached it without the flow, to compare with.
    """
    rows = _read(flow.tenant_id, period, CONVERTED, flow_id=flow.pk, version=version)
    return [{"goal": goal, **_worth(found)} for goal, found in sorted(_by(rows, 0).items())]


def _read(tenant_id: Any, period: Period, kinds: Iterable[str], **narrower: Any) -> list[Row]:
    asked = {name: value for name, value in narrower.items() if value is not None}
    given = {"tenant": tenant_id, "first": period.first, "last": period.last, "kinds": list(kinds), **asked}
    return execute(READ.format(narrower=" ".join(NARROWER[name] for name in asked)), given).fetchall()


def _by(rows: Iterable[Row], column: int) -> Mapping[str, list[Row]]:
    found = defaultdict[str, list[Row]](list)
    for row in rows:
        found[str(row[column])].append(row)
    return found


def _figures(rows: Iterable[Row]) -> JSON:
    counts: dict[str, int] = dict.fromkeys((*WAY, *ENDS), 0)
    reasons: dict[str, dict[str, int]] = {kind: {} for kind in BY_REASON}
    for _, _, kind, key, n in rows:
        counts[kind] += int(n)
        if kind in reasons:
            reasons[kind][key] = reasons[kind].get(key, 0) + int(n)
    rates = {name: round(counts[name] / counts[of], 6) if counts[of] else 0.0 for name, of in RATES.items()}
    return {**counts, "rates": rates, **{f"{kind}_by_reason": found for kind, found in reasons.items()}}


def _worth(rows: Iterable[Row]) -> JSON:
    sums = defaultdict[str, defaultdict[str, Decimal]](lambda: defaultdict(Decimal))
    for _, _, kind, key, n in rows:
        sums[kind][key] += n
    how = sums["converted"]
    held_out = how.pop(HELD_OUT, Decimal())
    return {
        "conversions": int(sum(how.values())),
        "held_out": int(held_out),
        "attributed": {name: int(how[key]) for name, key in (("click", "click"), ("send", "send"), ("none", ""))},
        "revenue": [{"currency": code, "value": value} for code, value in sorted(sums["value"].items()) if value],
        "variants": {name: int(n) for name, n in sorted(sums["variant"].items()) if n},
    }
