"""Compares what was answered with what the served schema promises."""

from typing import Any

import jsonschema


def mismatches(schema: dict[str, Any], template: str, method: str, answer: Any) -> list[str]:
    """In what an answer differs from the schema; fields that the schema does not have count too."""
    promised = schema["paths"][template][method]["responses"]
    status = str(answer.status_code)
    if status not in promised:
        return [f"{method} {template} promises no {status}"]
    content = promised[status].get("content", {})
    if not answer.content or not content:
        return [] if bool(answer.content) == bool(content) else [f"{method} {template} {status}: a body or none"]
    shape = content["application/json"]["schema"] | {"components": schema["components"]}
    found = jsonschema.Draft202012Validator(as_json_schema(shape)).iter_errors(answer.json())
    return [f"{method} {template} {status}: {error.json_path} {error.message}" for error in found]


def as_json_schema(shape: Any) -> Any:
    """OpenAPI 3.0's `nullable` in the words of JSON Schema, and objects closed."""
    if isinstance(shape, list):
        return [as_json_schema(item) for item in shape]
    if not isinstance(shape, dict):
        return shape
    made = {name: as_json_schema(below) for name, below in shape.items() if name != "nullable"}
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
    return {"anyOf": [made, {"type": "null"}]} if shape.get("nullable") is True else made
