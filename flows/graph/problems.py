"""What is wrong with a graph, said so that its author finds the place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error forbids publishing; a warning only tells."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place; `attr` is a path such as `graph.nodes.3.config.duration`."""

    code: str
    detail: str
    attr: str = "graph"
    node_id: str | None = None
    severity: Severity = Severity.ERROR

    def as_json(self) -> dict[str, str | None]:
        """Give the shape that clients see."""
        return {"code": self.code, "detail": self.detail, "attr": self.attr, "node_id": self.node_id}


class NotAGraph(ValueError):
    """The value is not a graph at all, so that nothing can be said about its nodes."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Carry every problem found."""
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__("; ".join(problem.detail for problem in self.problems))
