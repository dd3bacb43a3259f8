"""A segment's rule asked of one customer in Python: the same answer as SQL gives, for rehearsals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson

from engine.expressions import Rule as GraphRule
from engine.expressions import Scope
from engine.expressions import parse as parse_comparison
from marketing.segments.rules import Comparison, Did, Every, Not, Rule, Some

JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a customer's."""

    event_type: str
    occurred_at: datetime
    data: JSON = field(default_factory=dict)


def matches(rule: Rule, profile: JSON, events: Sequence[Happening], now: datetime) -> bool:
    """Tell whether a customer with this profile, to whom these events happened, is in the segment now."""
    return _ask(rule, Scope(participant=profile, now=now), events)


def profile_of(customer: Any) -> dict[str, Any]:
    """Give the profile of a customer's row as rules read it: a column that says nothing is missing."""
    texts = ("external_id", "email", "phone", "name", "timezone", "locale")
    found = {name: getattr(customer, name) for name in texts if getattr(customer, name)}
    moments = ("created_at", "updated_at", "last_seen_at")
    found |= {name: getattr(customer, name) for name in moments if getattr(customer, name) is not None}
    return {**found, **{name: getattr(customer, name) for name in ("tags", "preferences", "properties")}}


def _ask(rule: Rule, scope: Scope, events: Sequence[Happening]) -> bool:
    match rule:
        case Every():
            return all(_ask(each, scope, events) for each in rule.rules)
        case Some():
            return any(_ask(each, scope, events) for each in rule.rules)
        case Not():
            return not _ask(rule.rule, scope, events)
        case Did():
            return _happened(rule, scope.now, events) is rule.did
        case Comparison():
            return _compiled(orjson.dumps(rule.raw)).matches(scope)


def _happened(rule: Did, now: datetime | None, events: Sequence[Happening]) -> bool:
    since = None if rule.within is None or now is None else now - rule.within
    count = sum(
        each.event_type == rule.event
        and (since is None or each.occurred_at > since)
        and (rule.where is None or _ask(rule.where, Scope(event=each.data, now=now), ()))
        for each in events
    )
    return count >= rule.at_least and (rule.at_most is None or count <= rule.at_most)


@lru_cache(maxsize=1_024)
def _compiled(raw: bytes) -> GraphRule:
    return parse_comparison(orjson.loads(raw))
