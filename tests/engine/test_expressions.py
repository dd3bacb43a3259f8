from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.expressions import MISSING, InvalidRule, Scope, bind, compile_path, parse, referenced_paths, resolve
from engine.expressions.operators import BINARY, NAMES, UNARY
from engine.nodes import duration

NOW = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)


def holds(op: str, left: Any, right: Any = None) -> bool:
    rule = {"path": "entry.x", "op": op} if op in UNARY else {"path": "entry.x", "op": op, "value": right}
    return parse(rule).matches(Scope(entry={"x": left}, now=NOW))


@pytest.mark.parametrize(
    ("op", "left", "right"),
    [
        ("eq", 1, 1.0),
        ("eq", None, None),
        ("eq", {"a": [1]}, {"a": [1.0]}),
        ("ne", 1, True),
        ("ne", 1, "1"),
        ("ne", None, "x"),
        ("ne", [1], [True]),
        ("gt", 2, 1.5),
        ("gte", "b", "a"),
        ("lte", 2, 2),
        ("lt", "a", "b"),
        ("in", 1, [2, 1.0]),
        ("not_in", True, [1]),
        ("contains", "hello", "ell"),
        ("contains", ["a", 1], 1),
        ("not_contains", ["a"], "b"),
        ("starts_with", "hello", "he"),
        ("exists", None, None),
        ("empty", [], None),
        ("empty", None, None),
        ("not_empty", 0, None),
        ("not_empty", False, None),
        ("matches", "ada@example.com", r"@example\.com$"),
        ("before", "2026-06-17T01:00:00+02:00", "2026-06-16T23:30:00Z"),
        ("after", "2026-06-18", {"ref": "now"}),
        ("within", "2026-06-16T13:00:00Z", "1d"),
        ("within", "2026-06-18T11:00:00Z", "1d"),
    ],
)
def test_what_holds(op, left, right):
    assert holds(op, left, right)


@pytest.mark.parametrize(
    ("op", "left", "right"),
    [
        ("eq", 1, True),
        ("eq", "1", 1),
        ("eq", 0, None),
        ("gt", "2", 1),
        ("gt", True, 0),
        ("lt", None, 1),
        ("contains", 12, 1),
        ("contains", "12", 1),
        ("starts_with", ["a"], "a"),
        ("in", 1, ["1"]),
        ("empty", 0, None),
        ("matches", 12, "12"),
        ("before", 5, "2026-06-17"),
        ("before", "20260617", "2026-06-17"),
        ("within", "2026-06-16T11:00:00Z", "1d"),
        ("within", "yesterday", "1d"),
    ],
)
def test_what_does_not_hold(op, left, right):
    assert not holds(op, left, right)


@pytest.mark.parametrize("op", NAMES)
def test_only_not_exists_is_true_of_a_missing_path(op):
    value = {"in": [1], "not_in": [1], "matches": "a", "within": "1d"}.get(op, 1)
    rule = {"path": "entry.gone", "op": op} | ({} if op in UNARY else {"value": value})
    assert parse(rule).matches(Scope(now=NOW)) is (op == "not_exists")


@pytest.mark.parametrize("op", BINARY)
def test_nothing_compares_with_a_missing_reference(op):
    rule = {"path": "entry.x", "op": op, "value": {"ref": "entry.gone"}}
    assert not parse(rule).matches(Scope(entry={"x": [1]}))


def test_a_missing_reference_has_its_default():
    rule = {"path": "entry.x", "op": "eq", "value": {"ref": "entry.gone", "default": 3}}
    assert parse(rule).matches(Scope(entry={"x": 3}))


def test_a_pattern_cannot_be_made_slow():
    assert not holds("matches", "a" * 20_000 + "b", "^(a+)+$")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ([], ""),
        ({"all": {}}, "all"),
        ({"all": [{}, 3]}, "all.1"),
        ({"not": [], "x": 1}, "x"),
        ({"any": [{"not": {"path": "entry.x", "op": "is"}}]}, "any.0.not.op"),
        ({"all": [{"op": "eq", "value": 1}]}, "all.0.path"),
        ({"path": "customer.x", "op": "exists"}, "path"),
        ({"path": "entry..x", "op": "exists"}, "path"),
        ({"path": "now.x", "op": "exists"}, "path"),
        ({"path": "nodes", "op": "exists"}, "path"),
        ({"path": "entry.x", "op": "eq"}, "value"),
        ({"path": "entry.x", "op": "eq", "value": {"ref": "nowhere"}}, "value"),
        ({"path": "entry.x", "op": "exists", "value": 1}, "value"),
        ({"path": "entry.x", "op": "in", "value": "abc"}, "value"),
        ({"path": "entry.x", "op": "matches", "value": "("}, "value"),
        ({"path": "entry.x", "op": "within", "value": "soon"}, "value"),
        ({"path": "entry.x", "op": "eq", "value": 1, "values": 2}, "values"),
    ],
)
def test_a_mistake_is_named_with_its_place(raw, path):
    with pytest.raises(InvalidRule) as raised:
        parse(raw)
    assert raised.value.path == path


def test_rules_may_not_be_nested_without_end():
    raw: Any = {}
    for _ in range(300):
        raw = {"not": raw}
    with pytest.raises(InvalidRule):
        parse(raw)


def test_the_empty_rules():
    assert parse({}).matches(Scope())
    assert parse({"all": []}).matches(Scope())
    assert not parse({"any": []}).matches(Scope())


SCOPE = Scope(
    entry={"items": [{"sku": "a"}], "nothing": None},
    event={"total": 3},
    participant={"country": "DE", "external_id": "ada", "properties": {"tier": "gold", "country": "FR"}},
    accumulated={"hook": {"status": "failed", "response": {"ok": True}}, "mail.1": {"delivery": {"state": "queued"}}},
    outcomes={"hook": None, "check": "true", "wait": "event_received"},
    run={"id": "i-1"},
    now=NOW,
    node_events={"wait": {"total": 9}},
    deliveries={"mail.1": {"state": "opened"}},
    aliases={"stock": "hook"},
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("entry.items.0.sku", "a"),
        ("entry.items.1.sku", MISSING),
        ("entry.nothing", None),
        ("entry.nothing.more", MISSING),
        ("event.total", 3),
        ("participant.country", "DE"),
        ("participant.tier", "gold"),
        ("participant.attributes.country", "FR"),
        ("participant.gone", MISSING),
        ("nodes.hook.status", "failed"),
        ("nodes.check.status", "completed"),
        ("nodes.check.branch", "true"),
        ("nodes.gone.status", MISSING),
        ("nodes.stock.response.ok", True),
        ("nodes.mail.1.delivery.state", "opened"),
        ("nodes.wait.event.total", 9),
        ("run.id", "i-1"),
        ("now", NOW),
    ],
)
def test_where_paths_lead(path, value):
    found = compile_path(path).read(SCOPE)
    assert found is value or (value is not MISSING and found == value)


def test_a_caller_cannot_impersonate_the_engine():
    scope = Scope(entry={"nodes": {"gate": {"matched": True}}, "run": {"id": "x"}})
    assert compile_path("nodes.gate.matched").read(scope) is MISSING
    assert compile_path("run.id").read(scope) is MISSING


def test_a_participant_without_a_profile_has_nothing():
    assert not parse({"path": "participant.country", "op": "exists"}).matches(Scope(participant=None))


def test_references_resolve_anywhere_in_json():
    raw = {"a": [{"ref": "event.total"}, 1], "b": {"ref": "entry.gone"}, "c": {"ref": "entry.gone", "default": "x"}}
    assert resolve(raw, SCOPE) == {"a": [3, 1], "b": None, "c": "x"}
    assert resolve({"ref": "now"}, SCOPE) == "2026-06-17T12:00:00Z"


def test_every_path_is_found_with_its_place():
    raw = {"filter": {"all": [{"path": "event.a", "op": "eq", "value": {"ref": "entry.b"}}]}, "path": "no path"}
    assert dict(referenced_paths(raw)) == {"filter.all.0.path": "event.a", "filter.all.0.value.ref": "entry.b"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from(["entry.x", "entry.x.0", "entry.y", "event.x", "participant.x", "nodes.n.x", "run.x", "now"])
VALUES = JSON | st.builds(lambda path: {"ref": path}, PATHS)
LEAVES = st.builds(
    lambda path, op, value: {"path": path, "op": op} | ({} if op in UNARY else {"value": value}),
    PATHS,
    st.sampled_from([name for name in NAMES if name not in {"in", "not_in", "matches", "within"}]),
    VALUES,
)
RULES = st.recursive(
    LEAVES | st.just({}),
    lambda inner: st.one_of(
        st.builds(lambda key, rules: {key: rules}, st.sampled_from(["all", "any"]), st.lists(inner, max_size=3)),
        st.builds(lambda rule: {"not": rule}, inner),
    ),
    max_leaves=6,
)
ROOTS = st.dictionaries(st.sampled_from(["x", "y"]), JSON)
SCOPES = st.builds(
    lambda entry, event, participant: Scope(
        entry=entry, event=event, participant=participant, accumulated={"n": entry}, run={"x": 1}, now=NOW
    ),
    ROOTS,
    st.none() | ROOTS,
    st.none() | ROOTS,
)


@given(RULES, SCOPES)
def test_asking_never_raises(raw, scope):
    assert parse(raw).matches(scope) in {True, False}


@given(JSON | st.dictionaries(st.sampled_from(["all", "any", "not", "path", "op", "value"]), JSON))
def test_reading_raises_nothing_but_what_it_promises(raw):
    try:
        parse(raw)
    except InvalidRule as error:
        assert error.detail


@given(st.lists(RULES, max_size=4), SCOPES)
def test_not_all_and_any_obey_the_laws(raws, scope):
    def ask(raw: Any) -> bool:
        return parse(raw).matches(scope)

    negated = [{"not": raw} for raw in raws]
    assert ask({"all": raws}) is all(map(ask, raws))
    assert ask({"any": raws}) is any(map(ask, raws))
    assert ask({"not": {"all": raws}}) is ask({"any": negated})
    assert ask({"not": {"any": raws}}) is ask({"all": negated})


@given(RULES, SCOPES)
def test_a_bound_rule_asks_the_same(raw, scope):
    bound = bind(raw, Scope(entry=scope.entry, run=scope.run, accumulated=scope.accumulated))
    assert parse(bound).matches(scope) is parse(raw).matches(scope)


@given(RULES, SCOPES)
def test_a_bound_rule_that_names_nothing_settled_asks_the_same_without_the_instance(raw, scope):
    later = Scope(event=scope.event, participant=scope.participant, accumulated=scope.accumulated, now=NOW)
    bound = bind(raw, Scope(entry=scope.entry, run=scope.run, accumulated=scope.accumulated))
    if not any(path.startswith(("entry", "run")) for _, path in referenced_paths(bound)):
        assert parse(bound).matches(later) is parse(raw).matches(scope)


def test_what_is_settled_is_compared_later_with_what_is_not():
    rule = {"path": "entry.x", "op": "eq", "value": {"ref": "participant.x"}}
    assert bind(rule, Scope(entry={"x": ""})) == rule


@given(st.integers(1, 3_000), st.sampled_from("smhdw"))
def test_durations_are_written_as_they_are_read(count, unit):
    try:
        length = duration.parse(f"{count}{unit}")
    except duration.InvalidDuration:
        assert timedelta(weeks=count) > duration.MAXIMUM
    else:
        assert duration.parse(duration.write(length)) == length
