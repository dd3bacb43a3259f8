"""Rules: yes-or-no questions about a scope, written as JSON."""

from collections.abc import Callable
from typing import Any, Final

import re2  # type: ignore[import-untyped]  # the wheel ships no types
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from engine.expressions import operators
from engine.expressions.paths import MISSING, InvalidPath, Path, compile_path
from engine.expressions.references import compile_value, is_reference
from engine.expressions.scope import Scope
from engine.nodes import duration

Test = Callable[[Scope], bool]

MAX_DEPTH: Final = 20
MAX_PATTERN: Final = 500


class InvalidRule(ValueError):
    """The JSON is not a rule; `path` says where in it, such as `all.0.op`."""

    def __init__(self, path: str, detail: str) -> None:
        """Name the place and the trouble, in a sentence for people."""
        super().__init__(f"{path}: {detail}" if path else detail)
        self.path = path
        self.detail = detail


class Rule:
    """A compiled rule: `matches(scope)` never raises; also the type of a config key that holds a rule."""

    __slots__ = ("matches", "raw")

    def __init__(self, raw: Any, test: Test) -> None:
        """Keep the JSON beside its compiled form; use `parse` to make one."""
        self.raw = raw
        self.matches = test

    def __eq__(self, other: object) -> bool:
        """Rules are equal when they are written equally."""
        return isinstance(other, Rule) and operators.same(self.raw, other.raw)

    def __hash__(self) -> int:
        """Agree with equality, cheaply."""
        return hash(len(self.raw))

    def __repr__(self) -> str:
        """Show the JSON."""
        return f"Rule({self.raw!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate JSON into a rule, and write it back as the JSON it was."""
        return core_schema.no_info_plain_validator_function(
            _validate, serialization=core_schema.plain_serializer_function_ser_schema(lambda rule: rule.raw)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe a rule; its own shape is recursive and stands in the reference."""
        return {"type": "object", "format": "kalcifer-rule", "x-operators": list(operators.NAMES)}


def parse(raw: Any) -> Rule:
    """Compile a rule, or raise InvalidRule with the place of the trouble."""
    try:
        return Rule(raw, _compile(raw, "", 0))
    except RecursionError as error:
        raise InvalidRule("", "the values in this rule are nested too deep") from error


EVERYTHING: Final = Rule({}, lambda _: True)


def _validate(value: Any) -> Rule:
    if isinstance(value, Rule):
        return value
    try:
        return parse(value)
    except InvalidRule as error:
        context = {"path": error.path, "detail": error.detail}
        raise PydanticCustomError("invalid_rule", "{detail}", context) from error


def _compile(raw: Any, at: str, depth: int) -> Test:
    if not isinstance(raw, dict):
        raise InvalidRule(at.rstrip("."), "a rule is an object")
    if depth > MAX_DEPTH:
        raise InvalidRule(at.rstrip("."), f"rules may be nested {MAX_DEPTH} deep at most")
    if not raw:
        return EVERYTHING.matches
    for key, combine in (("all", _all_of), ("any", _any_of)):
        if key in raw:
            _refuse_other_keys(raw, {key}, at)
            return combine(_compile_list(raw[key], f"{at}{key}", depth))
    if "not" in raw:
        _refuse_other_keys(raw, {"not"}, at)
        inner = _compile(raw["not"], f"{at}not.", depth + 1)
        return lambda scope: not inner(scope)
    _refuse_other_keys(raw, {"path", "op", "value"}, at)
    return _compile_comparison(raw, at)


def _compile_list(raw: Any, at: str, depth: int) -> list[Test]:
    if not isinstance(raw, list):
        raise InvalidRule(at, "here stands a list of rules")
    return [_compile(item, f"{at}.{index}.", depth + 1) for index, item in enumerate(raw)]


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda scope: all(test(scope) for test in tests)


def _any_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda scope: any(test(scope) for test in tests)


def _refuse_other_keys(raw: dict[str, Any], allowed: set[str], at: str) -> None:
    for key in raw:
        if key not in allowed:
            raise InvalidRule(f"{at}{key}", f'"{key}" does not belong here; expected {", ".join(sorted(allowed))}')


def _compile_comparison(raw: dict[str, Any], at: str) -> Test:
    try:
        path = compile_path(raw["path"]) if isinstance(raw.get("path"), str) else None
    except InvalidPath as error:
        raise InvalidRule(f"{at}path", str(error)) from error
    if path is None:
        raise InvalidRule(f"{at}path", "a comparison needs a path, such as participant.country")
    op = raw.get("op")
    if not isinstance(op, str) or op not in operators.NAMES:
        raise InvalidRule(f"{at}op", f"op is one of {', '.join(operators.NAMES)}")
    if op in operators.UNARY:
        if raw.get("value") is not None:
            raise InvalidRule(f"{at}value", f"{op} takes no value")
        return _unary(op, path)
    if "value" not in raw:
        raise InvalidRule(f"{at}value", f"{op} needs a value")
    if op == "matches":
        return _matches(path, raw["value"], at)
    if op == "within":
        return _within(path, raw["value"], at)
    return _binary(op, path, raw["value"], at)


def _unary(op: str, path: Path) -> Test:
    read = path.read
    match op:
        case "exists":
            return lambda scope: read(scope) is not MISSING
        case "not_exists":
            return lambda scope: read(scope) is MISSING
        case "empty":
            return lambda scope: (value := read(scope)) is not MISSING and operators.is_empty(value)
        case _:
            return lambda scope: (value := read(scope)) is not MISSING and not operators.is_empty(value)


def _binary(op: str, path: Path, expected: Any, at: str) -> Test:
    if op in {"in", "not_in"} and not isinstance(expected, list) and not is_reference(expected):
        raise InvalidRule(f"{at}value", f"{op} needs a list")
    try:
        value = compile_value(expected)
    except InvalidPath as error:
        raise InvalidRule(f"{at}value", str(error)) from error
    read, compare = path.read, operators.BINARY[op]
    if value is None:
        return lambda scope: (left := read(scope)) is not MISSING and compare(left, expected)

    def test(scope: Scope) -> bool:
        left, right = read(scope), value(scope)
        return left is not MISSING and right is not MISSING and compare(left, right)

    return test


def _matches(path: Path, pattern: Any, at: str) -> Test:
    # RE2 is linear in the length of the text, whatever the pattern; that is why there are no look-arounds here.
    if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
        raise InvalidRule(f"{at}value", f"matches needs a pattern of at most {MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        search = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error, re2.error) else "it is not text"
        raise InvalidRule(f"{at}value", f"this is not a pattern: {reason}") from error
    read = path.read

    def test(scope: Scope) -> bool:
        value = read(scope)
        try:
            return isinstance(value, str) and search(value) is not None
        except UnicodeEncodeError:  # half a surrogate pair is no text
            return False

    return test


def _within(path: Path, written: Any, at: str) -> Test:
    try:
        reach = duration.parse(written)
    except duration.InvalidDuration as error:
        raise InvalidRule(f"{at}value", str(error)) from error
    read = path.read
    return lambda scope: operators.is_within(read(scope), reach, scope.now)
