"""What became of everybody, compared with what had to."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from kalcifer.demo import orders as sagas
from kalcifer.demo import plan
from kalcifer.demo.orders import Order
from kalcifer.demo.plan import Person
from kalcifer.demo.receiver import Ledger

JSON = dict[str, Any]

MORNINGS = ("morning_in_berlin", "morning_in_new_york", "morning_in_tokyo")
MOST_PROBLEMS = 20
KEPT_OUT = "kept out, to compare with"


@dataclass(frozen=True, slots=True)
class Line:
    """How many, and how many it had to be."""

    name: str
    expected: int
    actual: int


@dataclass(slots=True)
class Report:
    """The tables at the end; `problems` is empty exactly when all went as it had to."""

    flows: dict[str, list[Line]] = field(default_factory=dict)
    orders: list[Line] = field(default_factory=list)
    effects: list[Line] = field(default_factory=list)
    messages: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    repeated_calls: int = 0
    troubled_calls: int = 0
    opened: int = 0
    clicked: int = 0
    killed: int = 0
    flushed: int = 0

    @property
    def ok(self) -> bool:
        """Whether everybody ended where they should, and every call was made under one key."""
        return not self.problems

    def as_json(self) -> JSON:
        """The same as a document."""
        return asdict(self) | {"ok": self.ok}


def compare(
    people: Sequence[Person], found: Mapping[str, JSON], ledger: Ledger, *, kept_out: frozenset[str] = frozenset()
) -> Report:
    """Hold what was found against the plan; who is kept out of a journey ends there at once."""
    report = Report()
    for flow in plan.FLOWS:
        report.flows[flow] = _lines_of(flow, people, found, kept_out, report.problems)
    _compare_effects(people, {row["id"]: name for name, row in found.items()}, ledger, report)
    return report


def add_orders(report: Report, orders: Sequence[Order], found: Mapping[str, str], ledger: Ledger) -> None:
    """Hold the sagas of orders against their plan too."""
    wrong = sagas.differences(orders, found, ledger.done)
    expected = Counter(order.outcome for order in orders)
    actual = Counter(order.outcome for order in orders if found.get(order.order_id) == order.state)
    report.orders = [Line(outcome, count, actual[outcome]) for outcome, count in expected.items()]
    report.problems += wrong


def add_messages(report: Report, lines: Mapping[str, tuple[int, int]], wrong: Sequence[str]) -> None:
    """Hold the messages of the journeys against their plan too."""
    report.messages = [Line(name, *counts) for name, counts in lines.items()]
    report.problems += wrong


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    for flow, lines in report.flows.items():
        console.print(_table(f"{flow.replace('_', ' ').capitalize()}: what became of everybody", "outcome", lines))
    if report.orders:
        console.print(_table("Order sagas: delivered, or undone", "outcome", report.orders))
    if report.messages:
        console.print(_table("Messages of the journeys, each once", "message", report.messages))
        console.print(f"{report.opened} mails were opened and {report.clicked} links clicked.")
    console.print(_table("Calls to the receiver, each under one key", "effect", report.effects))
    console.print(
        f"{report.troubled_calls} calls were answered with 429, 500 or not at all; "
        f"{report.repeated_calls} effects were asked for again, under the same key."
    )
    if report.killed or report.flushed:
        console.print(f"Meanwhile {report.killed} processes were killed, and Redis was emptied {report.flushed} times.")
    for problem in report.problems[:MOST_PROBLEMS]:
        console.print(f"[red]{problem}[/red]", highlight=False)
    if report.ok:
        console.print("[bold green]Everybody ended where they should, and no call was lost.[/bold green]")
    else:
        console.print(f"[bold red]{len(report.problems)} differences.[/bold red]")


def _lines_of(
    flow: str, people: Sequence[Person], found: Mapping[str, JSON], kept_out: frozenset[str], problems: list[str]
) -> list[Line]:
    left_alone = [person for person in plan.of_flow(people, flow) if person.participant_id in kept_out]
    expected = plan.outcomes([person for person in people if person not in left_alone], flow)
    actual: Counter[str] = Counter()
    if left_alone:
        expected[KEPT_OUT] = len(left_alone)
    for person in plan.of_flow(people, flow):
        row = found.get(person.participant_id)
        if person in left_alone and row and row["exit_reason"] == "holdout":
            actual[KEPT_OUT] += 1
        elif problem := _difference(person, row):
            problems.append(f"{person.participant_id} ({person.script.outcome}): {problem}")
            actual[_describe(row)] += 1
        else:
            actual[person.script.outcome] += 1
    names = [*expected, *(name for name in actual if name not in expected)]
    return [Line(name, expected.get(name, 0), actual[name]) for name in names]


def _difference(person: Person, row: JSON | None) -> str:
    script = person.script
    if row is None or (row["status"], row["exit_reason"]) != (script.status, script.reason):
        return f"is {_describe(row)}, and not {script.status} ({script.reason})"
    return _morning_problem(row["context"]["accumulated"]) if script.morning else ""


def _describe(row: JSON | None) -> str:
    if row is None:
        return "never started"
    if row["current_nodes"]:
        return f"{row['status']} at {', '.join(token['node_id'] for token in row['current_nodes'])}"
    return f"{row['status']} ({row['exit_reason']})"


# Nine o'clock on a weekday, by the clock of the place.
def _morning_problem(results: JSON) -> str:
    waits = [results[node] for node in MORNINGS if node in results]
    if len(waits) != 1:
        return f"waited for {len(waits)} mornings instead of one"
    local = datetime.fromisoformat(waits[0]["local"])
    is_right = (local.hour, local.minute) == (9, 0) and local.isoweekday() <= 5  # noqa: PLR2004  # Friday
    return "" if is_right else f"was nudged at {local:%a %H:%M %Z}"


def _compare_effects(people: Sequence[Person], names: Mapping[str, str], ledger: Ledger, report: Report) -> None:
    wanted = plan.effects_expected(people)
    # Runs of an earlier demo that was interrupted go on, and call too.
    done = {(effect, names[run]): len(keys) for (effect, run), keys in ledger.done.items() if run in names}
    expected, actual = Counter(effect for effect, _ in wanted), Counter[str]()
    for call in sorted({*wanted, *done}):
        keys = done.get(call, 0)
        actual[call[0]] += keys
        if keys != (call in wanted):
            report.problems.append(f"{call[1]}: {call[0]} was done under {keys} keys instead of {int(call in wanted)}")
    report.effects = [Line(effect, expected[effect], actual[effect]) for effect in sorted({*expected, *actual})]
    report.repeated_calls = sum(count - 1 for keys in ledger.done.values() for count in keys.values())
    report.troubled_calls = sum(ledger.answers[answer] for answer in ("429", "500", "drop"))


def _table(title: str, name: str, lines: Sequence[Line]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", min_width=64)
    table.add_column(name, ratio=1)
    for heading in ("expected", "actual"):
        table.add_column(heading, justify="right")
    for line in lines:
        style = "green" if line.expected == line.actual else "red"
        table.add_row(line.name, str(line.expected), f"[{style}]{line.actual}[/{style}]")
    return table
