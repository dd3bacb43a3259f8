"""What the terminal shows while people move: a live table, or a line every few seconds where it is none."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from kalcifer.demo import plan
from kalcifer.demo.chaos import Damage
from kalcifer.demo.simulation import Sight

LINE_EVERY = 10.0
DAY_S = 86_400
MOST_PLACES = 6


class Progress:
    """Shows sights. Use it as a context manager."""

    def __init__(self, console: Console, total: dict[str, int], speed: float, damage: Damage | None) -> None:
        self._console, self._total, self._speed, self._damage = console, total, speed, damage
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, sight: Sight) -> None:
        """Show the present sight."""
        if self._live:
            self._live.update(self._table(sight))
        elif sight.seconds >= self._next_line:
            self._next_line = sight.seconds + LINE_EVERY
            flows = ", ".join(f"{flow} {self._counts(sight, flow)}" for flow in plan.FLOWS)
            self._console.print(f"{self._heading(sight)}: {flows}", highlight=False, soft_wrap=True)

    def _heading(self, sight: Sight) -> str:
        text = f"day {sight.seconds * self._speed / DAY_S:.0f} ({sight.seconds:.0f} s), {sight.events} events sent"
        if self._damage:
            text += f", {self._damage.kills} processes killed, Redis emptied {self._damage.flushes} times"
        return text

    def _counts(self, sight: Sight, flow: str) -> str:
        return f"{sight.arrived[flow]}/{self._total[flow]} arrived, {sight.live[flow]} under way"

    def _table(self, sight: Sight) -> Table:
        table = Table(title=self._heading(sight), title_justify="left", min_width=100)
        for column in ("flow", "people", "where they are"):
            table.add_column(column)
        for flow in plan.FLOWS:
            places = sight.places.get(flow)
            where = ", ".join(f"{node} {count}" for node, count in places.most_common(MOST_PLACES)) if places else ""
            table.add_row(flow, self._counts(sight, flow), where)
        return table
