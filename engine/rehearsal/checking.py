"""What is wrong with a plan, seen from the graph that it is for."""

from __future__ import annotations

from collections.abc import Iterator

from engine.execution.program import CompiledNode, Program
from engine.nodes.base import Category
from engine.rehearsal.messages import STATUSES
from engine.rehearsal.plan import Choice, Happening, Plan
from tenants.errors import Invalid, Problem

MOST_EVENTS = 200
# Within these years, and what waits can add to them, there is no end of time.
YEARS = range(1970, 2201)


def check(plan: Plan, program: Program) -> None:
    """Raise Invalid with everything that names what is not there, or cannot be."""
    found = [problem for node_id, choice in plan.choices.items() for problem in _of_choice(node_id, choice, program)]
    for index, happening in enumerate(plan.events):
        found += _of_event(f"events.{index}", happening, plan, program)
    if plan.begins.year not in YEARS:
        found.append(Problem("invalid", f"Begin between {YEARS.start} and {YEARS.stop - 1}.", "begins_at"))
    if len(plan.events) > MOST_EVENTS:
        found.append(Problem("max_length", f"A rehearsal takes at most {MOST_EVENTS} events.", "events"))
    if found:
        raise Invalid(found)


def _of_choice(node_id: str, choice: Choice, program: Program) -> Iterator[Problem]:
    at, compiled = f"outcomes.{node_id}", program.nodes.get(node_id)
    if compiled is None or compiled.node is None:
        yield Problem("unknown_node", f"The graph has no node `{node_id}`.", at)
        return
    branches = compiled.node.branches_of(compiled.config)
    if choice.branch is not None and choice.branch not in branches:
        names = ", ".join(branches) or "no branches"
        yield Problem("unknown_branch", f"`{node_id}` has {names}.", f"{at}.branch")
    if compiled.node.category is Category.WAIT:
        yield Problem("invalid", f"How the wait `{node_id}` ends is for `events` to say.", at)
    if choice.delivery and choice.delivery not in STATUSES:
        yield Problem("invalid_choice", f"A delivery is one of {', '.join(STATUSES)}.", f"{at}.delivery")
    if choice.delivery and not _sends(compiled):
        yield Problem("invalid", f"`{node_id}` sends nothing.", f"{at}.delivery")


def _of_event(at: str, happening: Happening, plan: Plan, program: Program) -> Iterator[Problem]:
    if happening.node_id is not None and happening.node_id not in program.nodes:
        yield Problem("unknown_node", f"The graph has no node `{happening.node_id}`.", f"{at}.node_id")
    if happening.at is not None and (happening.node_id is not None or happening.after):
        yield Problem("invalid", "Say `at`, or `after` with or without a `node_id`.", f"{at}.at")
    if happening.at is not None and happening.at.year > YEARS.stop:
        yield Problem("invalid", "This is too far ahead.", f"{at}.at")
    if happening.at is not None and happening.at < plan.begins:
        yield Problem("invalid", "This is before the rehearsal begins.", f"{at}.at")


def _sends(compiled: CompiledNode) -> bool:
    return compiled.type.startswith("send_")
