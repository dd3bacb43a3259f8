"""A segment's rule as SQL: one condition over `customers c`, and the parts of the statement that its events need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

import orjson

from engine.expressions import as_moment
from engine.nodes import duration
from marketing.segments.rules import NOW, Comparison, Did, Every, Not, Rule, Some

TEXTS: Final = frozenset(("external_id", "email", "phone", "name", "timezone", "locale"))
MOMENTS: Final = frozenset(("created_at", "updated_at", "last_seen_at"))
DOCUMENTS: Final = {"properties": "c.properties", "attributes": "c.properties", "preferences": "c.preferences"}
# Which customers are judged: a stretch of all of them, or some by name.
A_STRETCH: Final = "c.tenant_id = %(tenant)s AND c.state = 'active' AND c.id > %(after)s AND c.id <= %(upto)s"
SOME: Final = "c.tenant_id = %(tenant)s AND c.state = 'active' AND c.external_id = ANY(%(who)s)"

# How often an event of one kind happened to each customer, within its window; and when the first of them was.
HAPPENED: Final = """{name} AS MATERIALIZED (
    SELECT c.id, count(*) AS n, min(e.occurred_at) AS first
      FROM customers c
      JOIN inbound_events e ON e.tenant_id = c.tenant_id AND e.participant_id = c.external_id
     WHERE {chosen}
       AND e.event_type = {event}{window}{where}
     GROUP BY c.id
)"""

_COMPARED: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "before": "<", "after": ">"}
_EMPTY: Final = "('null'::jsonb, '\"\"'::jsonb, '[]'::jsonb, '{}'::jsonb)"
_TICK: Final = "interval '1 microsecond'"


@dataclass(frozen=True, slots=True)
class Compiled:
    """
    The parts of a statement.

    `condition` is true or false, never null. `changes_at` is the next moment at which time alone may change the answer,
    or null. `parts` go into its WITH, `joins` after `customers c`, `chosen` into its WHERE.
    """

    condition: str
    changes_at: str
    parts: tuple[str, ...]
    joins: str
    chosen: str
    parameters: dict[str, Any]


def compile_rule(rule: Rule, now: datetime, chosen: str) -> Compiled:
    """Compile a rule for the moment `now`; the statement needs the parameters of `chosen` beside."""
    writer = _Writer(now, chosen)
    condition = writer.write(rule)
    joins = "".join(f"\n      LEFT JOIN {name} ON {name}.id = c.id" for name in writer.names)
    changes = [f"CASE WHEN {each} > %(now)s THEN {each} END" for each in writer.moments]
    changes_at = f"least({', '.join(changes)})" if changes else "NULL::timestamptz"
    return Compiled(condition, changes_at, tuple(writer.parts), joins, chosen, writer.parameters)


@dataclass(slots=True)
class _Writer:
    now: datetime
    chosen: str
    parameters: dict[str, Any] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parameters["now"] = self.now

    def give(self, value: Any, kind: str) -> str:
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s::{kind}"

    def json(self, value: Any) -> str:
        return self.give(orjson.dumps(value).decode(), "jsonb")

    def write(self, rule: Rule) -> str:
        match rule:
            case Every():
                return f"({' AND '.join(map(self.write, rule.rules))})" if rule.rules else "true"
            case Some():
                return f"({' OR '.join(map(self.write, rule.rules))})" if rule.rules else "false"
            case Not():
                return f"(NOT {self.write(rule.rule)})"
            case Did():
                return self._happened(rule)
            case Comparison():
                return f"coalesce({self._compare(rule)}, false)"
            case _:
                assert_never(rule)

    def _happened(self, rule: Did) -> str:
        name = f"happened{len(self.names)}"
        self.names.append(name)
        window = where = ""
        if rule.within is not None:
            reach = self.give(rule.within, "interval")
            window = f"\n       AND e.occurred_at > %(now)s - {reach}"
            self.moments.append(f"({name}.first + {reach})")
        if rule.where is not None:
            where = f"\n       AND {self.write(rule.where)}"
        event = self.give(rule.event, "text")
        self.parts.append(HAPPENED.format(name=name, chosen=self.chosen, event=event, window=window, where=where))
        count = f"coalesce({name}.n, 0)"
        told = [f"{count} >= {self.give(rule.at_least, 'bigint')}"]
        if rule.at_most is not None:
            told.append(f"{count} <= {self.give(rule.at_most, 'bigint')}")
        return f"({'' if rule.did else 'NOT '}({' AND '.join(told)}))"

    def _compare(self, rule: Comparison) -> str:
        if rule.path.root == "event":
            return self._ask_json(rule, self._below("e.data", rule.path.parts))
        first, *rest = rule.path.parts
        if first in DOCUMENTS:
            return self._ask_json(rule, self._below(DOCUMENTS[first], rest))
        if first == "tags":
            return self._ask_tags(rule, rest)
        return self._ask_column(rule, first, rest)

    # A column that says nothing is missing, and then a property of its name counts, as in the rules of graphs.
    def _ask_column(self, rule: Comparison, first: str, rest: list[str]) -> str:
        named = self._below("c.properties", rule.path.parts)
        if first in TEXTS:
            value = f"CASE WHEN c.{first} = '' THEN {named}{'' if rest else f' ELSE to_jsonb(c.{first})'} END"
            return self._ask_json(rule, f"({value})")
        if first in MOMENTS:
            at = f"c.{first}"
            asked = self._ask_json(rule, "NULL::jsonb") if rest else self._ask_moment(rule, at)
            return f"CASE WHEN {at} IS NULL THEN {self._ask_json(rule, named)} ELSE {asked} END"
        return self._ask_json(rule, named)

    def _below(self, column: str, parts: Any) -> str:
        return f"({column} #> {self.give(list(parts), 'text[]')})" if parts else column

    def _ask_tags(self, rule: Comparison, rest: list[str]) -> str:
        if not rest and rule.op in {"contains", "not_contains"} and isinstance(rule.value, str):
            found = f"c.tags @> ARRAY[{self.give(rule.value, 'varchar')}]"
            return found if rule.op == "contains" else f"NOT ({found})"
        return self._ask_json(rule, self._below("to_jsonb(c.tags)", rest))

    def _ask_json(self, rule: Comparison, value: str) -> str:
        wanted = rule.value
        asks: dict[str, Callable[[], str]] = {
            "exists": lambda: f"{value} IS NOT NULL",
            "not_exists": lambda: f"{value} IS NULL",
            "empty": lambda: f"{value} IN {_EMPTY}",
            "not_empty": lambda: f"{value} NOT IN {_EMPTY}",
            "eq": lambda: f"{value} = {self.json(wanted)}",
            "ne": lambda: f"{value} <> {self.json(wanted)}",
            "in": lambda: self._is_in(value, wanted),
            "not_in": lambda: f"({value} IS NOT NULL AND NOT {self._is_in(value, wanted)})",
            "contains": lambda: self._contains(value, wanted),
            "not_contains": lambda: f"({value} IS NOT NULL AND NOT {self._contains(value, wanted)})",
            "starts_with": lambda: self._starts_with(value, wanted),
        }
        if rule.op in asks:
            return asks[rule.op]()
        if rule.op in {"within", "before", "after"}:
            return self._ask_moment(rule, f"kalcifer_moment({value})")
        return self._ask_order(rule, value)

    def _is_in(self, value: str, wanted: list[Any]) -> str:
        return f"{value} = ANY({self.give([orjson.dumps(item).decode() for item in wanted], 'text[]')}::jsonb[])"

    def _ask_order(self, rule: Comparison, value: str) -> str:
        sign, wanted = _COMPARED[rule.op], rule.value
        if wanted == NOW:
            return self._ask_moment(rule, f"kalcifer_moment({value})")
        if isinstance(wanted, bool) or not isinstance(wanted, int | float | str):
            return "false"
        if isinstance(wanted, str):
            text = self.give(wanted, "text")
            return f"""(jsonb_typeof({value}) = 'string' AND ({value} #>> '{{}}') COLLATE "C" {sign} {text})"""
        return f"(jsonb_typeof({value}) = 'number' AND {value} {sign} {self.json(wanted)})"

    def _contains(self, value: str, wanted: Any) -> str:
        item = self.json(wanted)
        asks = {"array": f"EXISTS (SELECT 1 FROM jsonb_array_elements({value}) AS i(item) WHERE i.item = {item})"}
        if isinstance(wanted, str):
            asks["string"] = f"strpos({value} #>> '{{}}', {self.give(wanted, 'text')}) > 0"
        cases = " ".join(f"WHEN '{kind}' THEN {ask}" for kind, ask in asks.items())
        return f"(CASE jsonb_typeof({value}) {cases} ELSE false END)"

    def _starts_with(self, value: str, wanted: Any) -> str:
        if not isinstance(wanted, str):
            return "false"
        return f"(jsonb_typeof({value}) = 'string' AND starts_with({value} #>> '{{}}', {self.give(wanted, 'text')}))"

    # What a moment answers; `at` may be null.
    def _ask_moment(self, rule: Comparison, at: str) -> str:
        plain: dict[str, Callable[[], str]] = {
            "exists": lambda: f"{at} IS NOT NULL",
            "not_exists": lambda: f"{at} IS NULL",
            "empty": lambda: "false",
            "not_empty": lambda: f"{at} IS NOT NULL",
            "contains": lambda: "false",
            "not_contains": lambda: f"{at} IS NOT NULL",
            "starts_with": lambda: "false",
            "eq": lambda: f"{at} = {self._moment(rule.value)}",
            "ne": lambda: f"{at} IS DISTINCT FROM {self._moment(rule.value)}",
            "in": lambda: f"{at} = ANY({self._moments_of(rule.value)})",
            "not_in": lambda: f"({at} IS NOT NULL AND NOT {at} = ANY({self._moments_of(rule.value)}))",
            "within": lambda: self._ask_within(at, duration.parse(rule.value)),
        }
        if rule.op in plain:
            return plain[rule.op]()
        if rule.value == NOW:
            self.moments += [at, f"({at} + {_TICK})"]
            return f"{at} {_COMPARED[rule.op]} %(now)s"
        return f"{at} {_COMPARED[rule.op]} {self._moment(rule.value)}"

    def _ask_within(self, at: str, reach: timedelta) -> str:
        span = self.give(reach, "interval")
        self.moments += [f"({at} - {span})", f"({at} + {span} + {_TICK})"]
        return f"{at} BETWEEN %(now)s - {span} AND %(now)s + {span}"

    def _moment(self, value: Any) -> str:
        return self.give(as_moment(value), "timestamptz")

    def _moments_of(self, values: list[Any]) -> str:
        return self.give([at for each in values if (at := as_moment(each)) is not None], "timestamptz[]")
