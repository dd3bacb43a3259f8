"""The `vars` of a message: values and references, which the node resolves; coupons and links, which sending does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from engine.expressions import MISSING, Path, Scope, compile_path, referenced_paths, resolve
from engine.expressions.references import as_json, is_reference
from engine.nodes.base import Reference
from engine.nodes.duration import parse as parse_duration
from engine.nodes.outcomes import JSON

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


@dataclass(frozen=True, slots=True)
class CompiledVars:
    """A node's vars, looked through once: what stands for itself, and what is read anew for each message."""

    fixed: JSON
    read: tuple[tuple[str, Callable[[Scope], Any]], ...]
    coupons: dict[str, str]
    links: dict[str, JSON]

    def resolve(self, scope: Scope) -> JSON:
        """Give what is queued, in the form of `Resolved`."""
        return {"values": self.values(scope), "coupons": self.coupons, "links": self.links}

    def values(self, scope: Scope) -> JSON:
        """Fill in the references; one that is missing and has no default is left out, so that the template can tell."""
        values = dict(self.fixed)
        for name, read in self.read:
            if (value := read(scope)) is not MISSING:
                values[name] = value
        return values


def compile_vars(given: Mapping[str, Any]) -> CompiledVars:
    """Tell coupons and links apart by the author's own words, never by what an event or a profile holds."""
    coupons = {name: raw["pool"] for name, raw in given.items() if is_coupon(raw)}
    links = {name: dict(raw) for name, raw in given.items() if is_link(raw)}
    values = {name: raw for name, raw in given.items() if name not in coupons and name not in links}
    readers = {name: _reader(raw) for name, raw in values.items()}
    return CompiledVars(
        fixed={name: raw for name, raw in values.items() if readers[name] is None},
        read=tuple((name, read) for name, read in readers.items() if read is not None),
        coupons=coupons,
        links=links,
    )


# None where nothing is read.
def _reader(raw: Any) -> Callable[[Scope], Any] | None:
    if is_reference(raw):
        return partial(_read, compile_path(raw["ref"]), raw.get("default", MISSING))
    return partial(resolve, raw) if next(referenced_paths(raw), None) else None


def _read(path: Path, default: Any, scope: Scope) -> Any:
    value = path.read(scope)
    return as_json(default if value is MISSING else value)


def references_in(given: Mapping[str, Any], at: str = "vars") -> Iterator[Reference]:
    """What has to exist for these vars: coupon pools, links and their topics."""
    for name, raw in given.items():
        if is_coupon(raw):
            yield Reference("coupon pool", raw["pool"], f"{at}.{name}.pool")
        elif is_link(raw):
            yield Reference("link", raw["link"], f"{at}.{name}.link")
            if "topic" in raw:
                yield Reference("topic", raw["topic"], f"{at}.{name}.topic")
