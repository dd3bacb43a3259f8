"""The language of rules and references that graphs are written in; pure, compiled once, evaluated in microseconds."""

from engine.expressions.binding import bind
from engine.expressions.moments import as_moment
from engine.expressions.paths import MISSING, InvalidPath, Path, compile_path
from engine.expressions.references import compile_value, referenced_paths, resolve
from engine.expressions.rules import EVERYTHING, InvalidRule, Rule, parse
from engine.expressions.scope import Scope

__all__ = [
    "EVERYTHING",
    "MISSING",
    "InvalidPath",
    "InvalidRule",
    "Path",
    "Rule",
    "Scope",
    "as_moment",
    "bind",
    "compile_path",
    "compile_value",
    "parse",
    "referenced_paths",
    "resolve",
]
