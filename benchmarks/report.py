"""The figures as tables."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

JSON = dict[str, Any]

PER_SECOND = "_per_s"


def add_ratios(figures: JSON, floor: JSON) -> None:
    """Put each rate beside what the machine can do at all."""
    for name, value in list(figures.items()):
        if name.endswith(PER_SECOND) and isinstance(value, dict):
            value["ratio_to_commits"] = round(value["median"] / floor["commits_per_s"], 3)
            value["ratio_to_copied_rows"] = round(value["median"] / floor["copied_event_rows_per_s"], 4)


def show(console: Console, document: JSON) -> None:
    """Print everything."""
    for part in ("machine", "versions", "settings"):
        console.print(f"[bold]{part}[/bold]: " + ", ".join(f"{name} {value}" for name, value in document[part].items()))
    table = Table("workload", "figure", "median", "min", "max", "of commits", "of copied rows", title="Figures")
    for workload, figures in document["workloads"].items():
        for name, value in _flat(figures):
            table.add_row(workload, name, *_cells(value))
    console.print(table)


def _flat(figures: JSON, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, dict) and "median" not in value:
            yield from _flat(value, f"{prefix}{name}.")
        elif name != "method":
            yield f"{prefix}{name}", value


def _cells(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [_number(value)]
    names = ("median", "min", "max", "ratio_to_commits", "ratio_to_copied_rows")
    return [_number(value[name]) if name in value else "" for name in names]


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
