"""The `vars` of a message: values and references, which the node resolves; coupons and links, which sending does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from engine.expressions import MISSING, compile_path, resolve
from engine.expressions.references import as_json, is_reference
from engine.nodes.base import Reference
from engine.nodes.context import JSON, StepContext
from engine.nodes.duration import parse as parse_duration

MAX_VARS: Final = 100


class Resolved(BaseModel):
    """What is queued with a message; `coupons` names a pool, `links` a link with its topic and time to live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: JSON = Field(default_factory=dict)
    coupons: dict[str, str] = Field(default_factory=dict)
    links: dict[str, JSON] = Field(default_factory=dict)


def is_coupon(raw: Any) -> bool:
    """Tell whether a value is a coupon: `{"pool": slug}`."""
    return isinstance(raw, dict) and raw.keys() == {"pool"} and isinstance(raw["pool"], str)


def is_link(raw: Any) -> bool:
    """Tell whether a value is a link: `{"link": slug, "topic"?, "ttl"?}`."""
    return (
        isinstance(raw, dict)
        and "link" in raw
        and raw.keys() <= {"link", "topic", "ttl"}
        and all(isinstance(part, str) for part in raw.values())
    )


def _check(given: dict[str, Any]) -> dict[str, Any]:
    if len(given) > MAX_VARS:
        raise ValueError(f"a message has at most {MAX_VARS} vars")
    for name, raw in given.items():
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot be read by a template; write letters, digits and _")
        if is_reference(raw):
            compile_path(raw["ref"])
        if is_link(raw) and "ttl" in raw:
            parse_duration(raw["ttl"])
    return given


MessageVars = Annotated[
    dict[str, Any],
    AfterValidator(_check),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MAX_VARS,
            "description": 'What the template reads as vars.<name>: a value, {"ref": path, "default"?}, '
            '{"pool": coupon pool} or {"link": link, "topic"?, "ttl"?}.',
            "additionalProperties": True,
        }
    ),
]


def resolve_vars(given: Mapping[str, Any], step: StepContext) -> Resolved:
    """
    Fill in the references; one that is missing and has no default is left out, so that the template can tell.

    Coupons and links are told apart by the author's own words, never by what an event or a profile holds.
    """
    scope = step.scope()
    found = Resolved()
    for name, raw in given.items():
        if is_coupon(raw):
            found.coupons[name] = raw["pool"]
        elif is_link(raw):
            found.links[name] = dict(raw)
        elif is_reference(raw):
            value = compile_path(raw["ref"]).read(scope)
            value = raw.get("default", MISSING) if value is MISSING else value
            if value is not MISSING:
                found.values[name] = as_json(value)
        else:
            found.values[name] = resolve(raw, scope)
    return found


def references_in(given: Mapping[str, Any], at: str = "vars") -> Iterator[Reference]:
    """What has to exist for these vars: coupon pools, links and their topics."""
    for name, raw in given.items():
        if is_coupon(raw):
            yield Reference("coupon pool", raw["pool"], f"{at}.{name}.pool")
        elif is_link(raw):
            yield Reference("link", raw["link"], f"{at}.{name}.link")
            if "topic" in raw:
                yield Reference("topic", raw["topic"], f"{at}.{name}.topic")
