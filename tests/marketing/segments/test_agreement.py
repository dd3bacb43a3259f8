"""SQL and Python give the same answer to any rule, about any customer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import inbox
from engine.connections import execute
from engine.event_form import Incoming
from engine.expressions import as_moment
from marketing.models import Customer
from marketing.segments import evaluation, matching, rules
from marketing.segments.matching import Happening
from tenants.models import Tenant

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)

MOMENTS = [
    "2029-12-31", "2029-12-31T12:00:00Z", "2029-12-20T10:00:00.123456+02:00", "2030-01-05 08:30", "2029-02-30",
    "2030-01-01T12:00:00", "20300101", "2030-13-01", "2030-01-01T25:00", "2030-01-01T12:00:00.1234567Z",
    "2029-12-31T1200+0130", "2030-01-01T12:00:00,5-00:30", "2028-02-29", "0000-01-01", "2030-01-01T12:60",
    "2030-01-31T",
]  # fmt: skip
TEXTS = ["", "a", "ab", "pro", "Ünal", "a%b", "😀", "B", "1", "true"]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, 1e300, -2.25]), st.sampled_from(TEXTS),
    st.sampled_from(MOMENTS),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "0"]), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(["plan", "x", "email", "last_seen_at", "0", "list"])
objects = st.dictionaries(names, values, max_size=4)
parts = st.sampled_from(["plan", "plan.x", "list.0", "list", "x.y", "0", "email", "email.x", "last_seen_at"])
paths = st.one_of(
    parts,
    parts.map("properties.{}".format),
    parts.map("attributes.{}".format),
    st.sampled_from(
        ["tags", "tags.0", "preferences", "preferences.x", "properties", "created_at", "created_at.x", "name", "locale"]
    ),
)
windows = st.sampled_from(["1h", "1d", "30d"])
moments = st.sampled_from(range(-40, 2)).map(lambda days: NOW + timedelta(days=days))


def comparisons(root: str, where: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    def of(op: str) -> st.SearchStrategy[dict[str, Any]]:
        value: st.SearchStrategy[Any] = values
        if op in {"exists", "not_exists", "empty", "not_empty"}:
            value = st.none()
        elif op in {"in", "not_in"}:
            value = st.lists(scalars, max_size=3)
        elif op == "within":
            value = windows
        elif op in rules.TIMELY and root == "participant":
            value = st.one_of(scalars, st.just({"ref": "now"}))
        return st.fixed_dictionaries({"path": where.map(f"{root}.{{}}".format), "op": st.just(op), "value": value})

    ops = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "not_contains", "starts_with", "exists"]
    ops += ["not_exists", "empty", "not_empty", "before", "after", *(["within"] if root == "participant" else [])]
    return st.sampled_from(ops).flatmap(of)


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda items: {"all": items}),
            st.lists(inner, max_size=3).map(lambda items: {"any": items}),
            inner.map(lambda item: {"not": item}),
        ),
        max_leaves=4,
    )


times = st.one_of(
    st.fixed_dictionaries({"at_least": st.integers(0, 3)}),
    st.fixed_dictionaries({"at_most": st.integers(0, 3)}),
    st.fixed_dictionaries({"exactly": st.integers(0, 3)}),
)
happened = st.fixed_dictionaries(
    {"event": st.sampled_from(["bought", "seen"])},
    optional={
        "did": st.booleans(),
        "times": times,
        "within": windows,
        "where": nested(comparisons("event", st.sampled_from(["plan", "list.0", "x", "x.y"]))),
    },
)
audience_rules = nested(st.one_of(comparisons("participant", paths), happened))
happenings = st.builds(Happening, event_type=st.sampled_from(["bought", "seen"]), occurred_at=moments, data=objects)
people = st.fixed_dictionaries(
    {
        "email": st.sampled_from(["", "ada@example.org"]),
        "name": st.sampled_from(["", "Ada", "ab"]),
        "locale": st.sampled_from(["", "de"]),
        "properties": objects,
        "preferences": st.dictionaries(st.just("x"), st.dictionaries(st.just("y"), st.booleans())),
        "tags": st.lists(st.sampled_from(["a", "ab", "pro"]), max_size=2),
        "last_seen_at": st.none() | moments,
        "created_at": moments,
    }
)


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    crowd=st.lists(st.tuples(people, st.lists(happenings, max_size=4)), min_size=1, max_size=4),
    asked=st.lists(audience_rules, min_size=1, max_size=6),
)
def test_any_rule_has_the_same_answer_in_sql_and_in_python(crowd: Any, asked: list[Any]) -> None:
    with transaction.atomic():
        compare(crowd, [rules.parse(orjson.loads(orjson.dumps(raw))) for raw in asked])
        transaction.set_rollback(True)


def compare(crowd: Any, asked: list[rules.Rule]) -> None:
    tenant = Tenant.objects.create(name="Acme")
    customers = [
        Customer.objects.create(tenant=tenant, external_id=f"c{place}", updated_at=NOW, **facts)
        for place, (facts, _) in enumerate(crowd)
    ]
    for customer, (_, events) in zip(customers, crowd, strict=True):
        told = [(each.event_type, dict(each.data), each.occurred_at) for each in events]
        inbox.receive(tenant.pk, [Incoming(customer.external_id, *one[:2], occurred_at=one[2]) for one in told])

    for rule in asked:
        expected = {
            customer.external_id
            for customer, (_, events) in zip(customers, crowd, strict=True)
            if matching.matches(rule, matching.profile_of(customer), events, NOW)
        }
        assert evaluation.matching_among(tenant.pk, rule, [each.external_id for each in customers], NOW) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("text", MOMENTS)
def test_a_moment_is_the_same_in_sql_and_in_python(text: str) -> None:
    assert execute("SELECT kalcifer_moment(%s::jsonb)", [orjson.dumps(text).decode()]).fetchone() == (as_moment(text),)
