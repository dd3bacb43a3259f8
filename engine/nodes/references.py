"""Config keys that take a value or a `{"ref": path}`."""

from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from engine.expressions import compile_path
from engine.expressions.references import is_reference


def _check(value: dict[str, Any]) -> dict[str, Any]:
    if not is_reference(value):
        raise ValueError('write a reference as {"ref": path}, with a default if you like')
    compile_path(value["ref"])
    return value


# Kept as JSON, for `step.resolve` to read.
Reference = Annotated[
    dict[str, Any],
    AfterValidator(_check),
    WithJsonSchema(
        {
            "type": "object",
            "format": "kalcifer-reference",
            "properties": {"ref": {"type": "string"}, "default": {}},
            "required": ["ref"],
            "additionalProperties": False,
        }
    ),
]
