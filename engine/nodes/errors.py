"""What can be wrong with node types and their configs."""

from dataclasses import dataclass


class NodeTypeError(Exception):
    """Base of what can be wrong with node types."""


class InvalidNodeType(NodeTypeError):
    """The class cannot be a node type; the message says what to change."""


class DuplicateNodeType(NodeTypeError):
    """A node type of this name is registered already."""


class UnknownNodeType(NodeTypeError, LookupError):
    """No node type of this name is registered."""

    def __init__(self, type_: str) -> None:
        """Name the type."""
        super().__init__(f'no node type "{type_}" is registered')
        self.type = type_


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong in a config: `path` is dotted and may be empty, `message` is a sentence for people."""

    path: str
    message: str


class InvalidConfig(NodeTypeError, ValueError):
    """A config does not fit its node type; `problems` says where and why."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        """Keep every problem, not just the first."""
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))
        self.problems = problems
