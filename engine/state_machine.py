"""State machines for aggregates of one's own: the same table of arrows that the engine's models obey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from flows.transitions import Transitions


class StateMachine:
    """
    Which state may follow which.

    `arrows` names every state with those that may follow it: `{"open": ["frozen", "closed"], "frozen": ["open"],
    "closed": []}`. Staying is always allowed; a state without an arrow out is terminal.
    """

    def __init__(self, arrows: Mapping[str, Iterable[str]], *, initial: str, name: str = "aggregate") -> None:
        """Check that every state that is named exists; `name` is what refusals call the thing that has the states."""
        self._transitions: Final = Transitions(arrows)
        self.initial: Final = str(initial)
        self.name: Final = name
        targets = frozenset[str]().union(*self._transitions.arrows.values())
        if strangers := sorted((targets | {self.initial}) - self.states):
            raise ValueError(
                f"Not among the states: {', '.join(strangers)}; give a state without arrows an empty list."
            )

    @property
    def states(self) -> frozenset[str]:
        """Every state."""
        return self._transitions.states

    @property
    def terminal(self) -> frozenset[str]:
        """The states with no way out."""
        return self._transitions.terminal

    def allows(self, source: str, target: str) -> bool:
        """Tell whether `target` may follow `source`."""
        return self._transitions.allows(str(source), str(target))

    def check(self, source: str, target: str) -> None:
        """Raise flows.errors.IllegalTransition unless `target` may follow `source`."""
        self._transitions.check(str(source), str(target), of=self.name)

    def move(self, source: str, target: str) -> str:
        """Give `target`, or raise flows.errors.IllegalTransition."""
        self.check(source, target)
        return str(target)
