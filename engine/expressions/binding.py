"""Binding: filling what an instance knows into a rule, which can then be asked without the instance."""

from typing import Any

from engine.expressions.paths import MISSING, Path, compile_path
from engine.expressions.references import as_json, is_reference
from engine.expressions.rules import parse
from engine.expressions.scope import Scope


def bind(raw: Any, scope: Scope) -> Any:
    """
    Replace what depends on `entry`, `run` and `nodes` alone by its value; `event`, `participant` and `now` stay open.

    With the instance's later data, the result matches exactly when the rule does. A reference that is missing stays as
    it is, and so does a settled path that is compared with an open one. `raw` must be a valid rule.
    """
    if "all" in raw:
        return {"all": [bind(item, scope) for item in raw["all"]]}
    if "any" in raw:
        return {"any": [bind(item, scope) for item in raw["any"]]}
    if "not" in raw:
        return {"not": bind(raw["not"], scope)}
    if not raw:
        return raw
    bound = {**raw, "value": _bind_value(raw["value"], scope)} if "value" in raw else raw
    path = compile_path(raw["path"])
    if not _is_settled(path, scope) or bound["op"] == "within" or _holds_reference(bound.get("value")):
        return bound
    return {} if parse(bound).matches(scope) else {"any": []}


def _is_settled(path: Path, scope: Scope) -> bool:
    # A node that has not run may still do so on another token, and a delivery goes on changing.
    if path.root == "nodes":
        return "delivery" not in path.parts and path.read(scope) is not MISSING
    return path.root in {"entry", "run"}


def _bind_value(raw: Any, scope: Scope) -> Any:
    if is_reference(raw):
        path = compile_path(raw["ref"])
        value = path.read(scope) if _is_settled(path, scope) else MISSING
        # A value that looks like a reference would be read as one, so it stays behind its own.
        return raw if value is MISSING or _holds_reference(value) else as_json(value)
    if isinstance(raw, list):
        return [_bind_value(item, scope) for item in raw]
    if isinstance(raw, dict):
        return {key: _bind_value(item, scope) for key, item in raw.items()}
    return raw


def _holds_reference(value: Any) -> bool:
    if isinstance(value, dict):
        return is_reference(value) or any(map(_holds_reference, value.values()))
    return isinstance(value, list) and any(map(_holds_reference, value))
