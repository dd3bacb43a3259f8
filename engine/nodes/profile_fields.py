"""The fields that a flow sets of a profile: their paths, their values, and the consents among them."""

from collections.abc import Iterator
from typing import Any

from engine.expressions.paths import MISSING
from engine.expressions.references import as_json, compile_value, is_reference
from engine.nodes import base
from engine.nodes.context import StepContext
from engine.nodes.outcomes import JSON

CONSENT = "consent."
CONSENT_PARTS = ("status", "source", "at")
KEPT = ("id", "external_id", "state", "tags", "preferences", "created_at", "updated_at", "last_seen_at", "merged_into")


def value(raw: Any, step: StepContext) -> Any:
    """Give what a field is set to, or MISSING where a reference stands for nothing."""
    if not is_reference(raw):
        return step.resolve(raw)
    read = compile_value(raw)
    return MISSING if read is None else as_json(read(step.scope()))


def problems(path: str) -> Iterator[str]:
    """Say why a path cannot be set."""
    parts = path.split(".")
    if len(path) > base.MAX_PATH or not all(parts) or "\0" in path:
        yield f'"{path[:80]}" is no path: parts with dots between them, at most {base.MAX_PATH} characters'
    elif path in KEPT:
        yield f'"{path}" cannot be set here' + ("; use add_tag" if path == "tags" else "")
    elif path.startswith(CONSENT) and (len(parts) < len(CONSENT_PARTS) or parts[-1] not in CONSENT_PARTS):
        yield f'"{path}": write consent.<topic>.status, .source or .at'


def consents(fields: JSON) -> dict[str, JSON]:
    """Give the parts of each consent among the fields, by topic."""
    found: dict[str, JSON] = {}
    for path, said in fields.items():
        topic, _, part = path.removeprefix(CONSENT).rpartition(".")
        if path.startswith(CONSENT) and topic:
            found.setdefault(topic, {})[part] = said
    return found
