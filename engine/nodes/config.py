"""From a node's JSON config to its typed one, with errors that a marketer understands."""

import difflib
from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from engine.nodes import duration
from engine.nodes.errors import ConfigProblem, InvalidConfig

_EXPECTED = {
    "missing": "this is required",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "dict_type": "expected an object",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
    "dataclass_type": "expected an object",
    "string_too_short": "this may not be empty",
    "too_short": "this needs more entries",
}


def parse(cls: type, raw: Any) -> Any:
    """Give the typed config, or raise InvalidConfig with every problem; a missing config is an empty one."""
    raw = {} if raw is None else raw
    try:
        # As JSON, so that lists may become tuples and nothing else changes its type.
        return adapter(cls).validate_json(orjson.dumps(raw))
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = {_problem(cls, raw, detail): None for detail in details}
        raise InvalidConfig(list(problems)) from error
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise InvalidConfig([ConfigProblem("", "the config is not JSON, or nested too deep")]) from error


def schema(cls: type) -> dict[str, Any]:
    """Give the JSON Schema of a config."""
    return adapter(cls).json_schema(schema_generator=_Schema)


@cache
def adapter(cls: type) -> TypeAdapter[Any]:
    """Give the compiled validator of a config class; unknown keys of a plug-in's dataclass are errors too."""
    if is_dataclass(cls) and not hasattr(cls, "__pydantic_config__"):
        setattr(cls, "__pydantic_config__", ConfigDict(extra="forbid"))  # noqa: B010 - unknown to the type checker
    return TypeAdapter(cls)


class _Schema(GenerateJsonSchema):
    # Defaults that are durations are written as people write them.
    def encode_default(self, dft: Any) -> Any:
        return duration.write(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def _problem(cls: type, raw: Any, detail: ErrorDetails) -> ConfigProblem:
    place = _place(raw, detail)
    context = detail.get("ctx", {})
    match detail["type"]:
        case "invalid_rule":
            return ConfigProblem(".".join(filter(None, [place, context["path"]])), context["detail"])
        case "extra_forbidden" | "unexpected_keyword_argument":
            return ConfigProblem(place, _unknown_key(cls, detail["loc"]))
        case "literal_error" | "enum":
            return ConfigProblem(place, f"expected {context['expected']}")
        case "value_error":
            return ConfigProblem(place, str(context["error"]))
        case known:
            return ConfigProblem(place, _EXPECTED.get(known, detail["msg"]))


def _place(raw: Any, detail: ErrorDetails) -> str:
    # Locations name the members of unions too; only what is in the config is a place, and at the end what should be.
    parts = []
    for part in detail["loc"]:
        is_key = isinstance(raw, Mapping) and part in raw
        if is_key or (isinstance(raw, list) and isinstance(part, int) and part < len(raw)):
            raw = raw[part]
        elif detail["type"] not in {"missing", "missing_argument"} or part != detail["loc"][-1]:
            continue
        parts.append(str(part))
    return ".".join(parts)


def _unknown_key(cls: type, place: tuple[int | str, ...]) -> str:
    key = str(place[-1])
    if len(place) > 1:
        return f'"{key}" is not known here'
    fields = cls.model_fields if issubclass(cls, BaseModel) else getattr(cls, "__dataclass_fields__", {})
    near = difflib.get_close_matches(key, list(fields), n=1)
    return f'there is no setting "{key}"' + (f'; did you mean "{near[0]}"?' if near else "")
