"""The language of segments: the rules of graphs over a participant, and what the participant did; parsed with care."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from engine.expressions import InvalidRule, Path, compile_path
from engine.expressions import parse as parse_comparison
from engine.nodes import duration

MAX_DEPTH: Final = 20
MAX_LEAVES: Final = 100
MAX_TIMES: Final = 1_000_000
NOW: Final = {"ref": "now"}
TIMELY: Final = frozenset(("gt", "gte", "lt", "lte", "before", "after"))
DID_KEYS: Final = frozenset(("event", "did", "times", "within", "where"))
TIMES_KEYS: Final = frozenset(("at_least", "at_most", "exactly"))
# What PostgreSQL takes for the place in a list, and a path does not.
_ODD_NUMBER: Final = re.compile(r"\s*[+-]?[0-9]+\s*")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A question about one value of the participant, or of an event."""

    path: Path
    op: str
    value: Any
    raw: dict[str, Any]

    @property
    def is_timely(self) -> bool:
        """Whether its answer changes with time alone."""
        return self.op == "within" or self.value == NOW


@dataclass(frozen=True, slots=True)
class Did:
    """Whether an event happened to the participant so many times, within a window that ends now."""

    event: str
    at_least: int
    at_most: int | None
    within: timedelta | None
    where: Rule | None
    did: bool


@dataclass(frozen=True, slots=True)
class Every:
    """All of them; of none, that is true."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """At least one of them; of none, that is false."""

    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    rule: Rule


Rule = Comparison | Did | Every | Some | Not


def parse(raw: Any) -> Rule:
    """Read a rule, or raise InvalidRule with the place of the trouble."""
    rule = _read(raw, "", 0, root="participant")
    if sum(1 for _ in leaves(rule)) > MAX_LEAVES:
        raise InvalidRule("", f"a segment's rule asks at most {MAX_LEAVES} questions")
    return rule


def leaves(rule: Rule) -> Iterator[Comparison | Did]:
    """Give the questions that a rule consists of, those about events too."""
    match rule:
        case Every() | Some():
            for each in rule.rules:
                yield from leaves(each)
        case Not():
            yield from leaves(rule.rule)
        case Did():
            yield rule
            if rule.where is not None:
                yield from leaves(rule.where)
        case Comparison():
            yield rule


def reads_of(rule: Rule) -> dict[str, Any]:
    """Tell what a rule looks at: `{fields: [first part of a path], tags, events: [type], times}`."""
    fields, events, times = set(), set(), False
    for each in leaves(rule):
        if isinstance(each, Did):
            events.add(each.event)
            times = times or each.within is not None
        elif each.path.root == "participant":
            fields.add(field_of(each.path))
            times = times or each.is_timely
    return {
        "fields": sorted(fields - {"tags"}),
        "tags": "tags" in fields,
        "events": sorted(events),
        "times": times,
    }


def field_of(path: Path) -> str:
    """Name the column or the property that a path reads: `properties.plan` and `attributes.plan` are `plan`."""
    parts = path.parts
    if parts[0] in {"properties", "attributes"}:
        return parts[1] if len(parts) > 1 else "properties"
    return parts[0]


def _read(raw: Any, at: str, depth: int, *, root: str) -> Rule:
    if not isinstance(raw, dict):
        raise InvalidRule(at.rstrip("."), "a rule is an object")
    if depth > MAX_DEPTH:
        raise InvalidRule(at.rstrip("."), f"rules may be nested {MAX_DEPTH} deep at most")
    if not raw:
        return Every(())
    for key, kind in (("all", Every), ("any", Some)):
        if key in raw:
            _refuse_others(raw, {key}, at)
            return kind(_read_list(raw[key], f"{at}{key}", depth, root=root))
    if "not" in raw:
        _refuse_others(raw, {"not"}, at)
        return Not(_read(raw["not"], f"{at}not.", depth + 1, root=root))
    if "event" in raw:
        return _read_did(raw, at, depth, root=root)
    return _read_comparison(raw, at, root=root)


def _read_list(raw: Any, at: str, depth: int, *, root: str) -> tuple[Rule, ...]:
    if not isinstance(raw, list):
        raise InvalidRule(at, "here stands a list of rules")
    return tuple(_read(item, f"{at}.{index}.", depth + 1, root=root) for index, item in enumerate(raw))


def _read_comparison(raw: dict[str, Any], at: str, *, root: str) -> Comparison:
    try:
        parse_comparison(raw)
        path = compile_path(raw["path"])
    except InvalidRule as error:
        raise InvalidRule(f"{at}{error.path}", error.detail) from error
    if path.root != root or (root == "participant" and not path.parts):
        raise InvalidRule(f"{at}path", f"here paths start at {root}, such as {root}.plan")
    for part in path.parts:
        if _ODD_NUMBER.fullmatch(part) and not (part.isascii() and part.isdigit()):
            raise InvalidRule(f"{at}path", f'"{part}" is no place in a list')
    found = Comparison(path, raw["op"], raw.get("value"), raw)
    if found.op == "matches":
        raise InvalidRule(f"{at}op", "a pattern cannot be asked of a whole audience; use starts_with or contains")
    if _refers(found.value) and not (found.value == NOW and found.op in TIMELY):
        raise InvalidRule(f"{at}value", 'a value stands for itself, or is {"ref": "now"} after before, after, gt or lt')
    if root == "event" and found.is_timely:
        raise InvalidRule(f"{at}op", "time counts in the event's own `within`, beside `where`")
    return found


def _refers(value: Any) -> bool:
    if isinstance(value, dict):
        return "ref" in value or any(map(_refers, value.values()))
    return isinstance(value, list) and any(map(_refers, value))


def _read_did(raw: dict[str, Any], at: str, depth: int, *, root: str) -> Did:
    _refuse_others(raw, DID_KEYS, at)
    if root == "event":
        raise InvalidRule(f"{at}event", "the rule of an event cannot ask for another event")
    event, did = raw["event"], raw.get("did", True)
    if not isinstance(event, str) or not event.strip() or len(event) > 255:  # noqa: PLR2004  # as long as a type may be
        raise InvalidRule(f"{at}event", "name the type of an event, such as order_completed")
    if not isinstance(did, bool):
        raise InvalidRule(f"{at}did", "did is true or false")
    at_least, at_most = _read_times(raw.get("times"), f"{at}times")
    where = None if raw.get("where") is None else _read(raw["where"], f"{at}where.", depth + 1, root="event")
    return Did(event, at_least, at_most, _read_window(raw.get("within"), f"{at}within"), where, did)


def _read_window(raw: Any, at: str) -> timedelta | None:
    try:
        return None if raw is None else duration.parse(raw)
    except duration.InvalidDuration as error:
        raise InvalidRule(at, str(error)) from error


def _read_times(raw: Any, at: str) -> tuple[int, int | None]:
    if raw is None:
        return 1, None
    if not isinstance(raw, dict) or not raw:
        raise InvalidRule(at, 'times is {"at_least": n}, {"at_most": n}, both, or {"exactly": n}')
    _refuse_others(raw, TIMES_KEYS, f"{at}.")
    for key, count in raw.items():
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MAX_TIMES:
            raise InvalidRule(f"{at}.{key}", f"a count is a whole number from 0 to {MAX_TIMES}")
    if "exactly" in raw:
        if len(raw) > 1:
            raise InvalidRule(f"{at}.exactly", "exactly stands alone")
        return raw["exactly"], raw["exactly"]
    at_least, at_most = raw.get("at_least", 0), raw.get("at_most")
    if at_most is not None and at_most < at_least:
        raise InvalidRule(f"{at}.at_most", "at_most is less than at_least")
    return at_least, at_most


def _refuse_others(raw: dict[str, Any], allowed: frozenset[str] | set[str], at: str) -> None:
    for key in raw:
        if key not in allowed:
            raise InvalidRule(f"{at}{key}", f'"{key}" does not belong here; expected {", ".join(sorted(allowed))}')
