"""Sagas that can be started by name: a function that makes the steps of its input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, Final

from django.utils.module_loading import autodiscover_modules
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from pydantic import BaseModel
from pydantic import ValidationError as ModelError

from engine import values
from engine.errors import EngineError, InvalidSaga, InvalidSagaInput, UnknownDefinition
from engine.sagas.builder import SagaStep

JSON = dict[str, Any]
Builder = Callable[[Any], Sequence[SagaStep]]
Shape = type[BaseModel] | Mapping[str, Any] | None

MAX_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Definition:
    """What is registered under a name."""

    name: str
    build: Builder
    shape: Shape
    description: str

    @property
    def input_schema(self) -> JSON:
        """The JSON Schema of its input; empty where anything will do."""
        if isinstance(self.shape, type):
            return self.shape.model_json_schema()
        return dict(self.shape or {})

    def steps(self, given: Any) -> tuple[Any, list[SagaStep]]:
        """
        Give the input as it is kept, and the steps that are made of it.

        Raises InvalidSagaInput, which names the field. With a model the function is given an instance of it.
        """
        value, kept = self._checked(given)
        try:
            return kept, list(self.build(value))
        except EngineError:
            raise
        except Exception as error:
            detail = f"{self.name} makes no steps of this input: {type(error).__name__}: {error}"
            raise InvalidSagaInput(detail, attr="input") from error

    def _checked(self, given: Any) -> tuple[Any, Any]:
        if isinstance(self.shape, type):
            try:
                model = self.shape.model_validate(given)
            except ModelError as problem:
                first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
                raise _refused(first["msg"], first["loc"]) from None
            return model, _kept(model.model_dump(mode="json"))
        kept = _kept(given)
        if self.shape is not None:
            found = best_match(Draft202012Validator(dict(self.shape)).iter_errors(kept))
            if found is not None:
                raise _refused(found.message, _path(found))
        return kept, kept


_definitions: dict[str, Definition] = {}
_discovered: list[bool] = []


def saga(name: str, *, input: Shape = None) -> Callable[[Builder], Builder]:  # noqa: A002 - as its users say it
    """
    Register a saga: `@saga("book_trip", input=Trip)` above a function of the input that gives the steps.

    `input` is a pydantic model or a JSON Schema. Put definitions into a module `sagas` of an installed app, where every
    process finds them, and make the steps of nothing but the input: the function is called once, when the saga starts.
    """
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidSaga(f"The name of a definition is a text of 1 to {MAX_NAME} characters.", attr="name")
    if isinstance(input, Mapping):
        try:
            Draft202012Validator.check_schema(dict(input))
        except SchemaError as problem:
            raise InvalidSaga(f"The input of {name} is no JSON Schema: {problem.message}", attr="input") from None

    def register(build: Builder) -> Builder:
        known = _definitions.get(name)
        if known is not None and _address(known.build) != _address(build):
            raise InvalidSaga(f"{name} is defined by {_address(known.build)} already.", attr="name")
        _definitions[name] = Definition(name, build, input, cleandoc(build.__doc__ or "").partition("\n\n")[0])
        return build

    return register


def get(name: str) -> Definition:
    """Give a definition; raise UnknownDefinition where there is none."""
    _discover()
    found = _definitions.get(name)
    if found is None:
        raise UnknownDefinition(f"No saga is defined as {name}.", attr="definition")
    return found


def all_definitions() -> list[Definition]:
    """Give what can be started, by name."""
    _discover()
    return [_definitions[name] for name in sorted(_definitions)]


def _discover() -> None:
    if not _discovered:
        _discovered.append(True)
        autodiscover_modules("sagas")


def _kept(value: Any) -> Any:
    try:
        return values.kept(value)
    except values.NotJson as problem:
        raise InvalidSagaInput(str(problem), attr="input") from None


def _refused(message: str, path: Sequence[Any]) -> InvalidSagaInput:
    return InvalidSagaInput(message, attr=".".join(["input", *map(str, path)]))


# A field that is missing is named, not what it is missing from.
def _path(problem: ValidationError) -> list[Any]:
    path = list(problem.absolute_path)
    if problem.validator == "required" and isinstance(problem.instance, Mapping):
        path += [name for name in problem.validator_value if name not in problem.instance][:1]
    return path


def _address(build: Builder) -> str:
    return f"{build.__module__}:{build.__qualname__}"
