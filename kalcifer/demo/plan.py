"""Who takes part and what each will do: decided before anything runs, from a seed."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from typing import Any

from kalcifer.demo import customers, scripts
from kalcifer.demo.sample import loading
from kalcifer.demo.sample import people as crowd
from kalcifer.demo.sample.loading import JOURNEYS
from kalcifer.demo.scripts import Act, Script

JSON = dict[str, Any]

OWN = ("onboarding", "order", "dunning")
FLOWS = (*OWN, *JOURNEYS)
SCRIPTS = (*scripts.SCRIPTS, *customers.SCRIPTS)
REGIONS = ("europe", "america", "asia")
# Engine time over which people arrive, and how long after they see an occasion they act on it.
ARRIVALS = timedelta(days=4)
LONGEST_HESITATION = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Person:
    """A participant: when they arrive, with what, and how long they hesitate before each of their acts."""

    participant_id: str
    script: Script
    arrives: timedelta
    entry: JSON
    hesitations: tuple[timedelta, ...]
    profile: JSON = field(default_factory=dict)

    @property
    def is_customer(self) -> bool:
        """Whether a journey of the sample is theirs."""
        return self.script.flow in JOURNEYS

    def act_at(self, node_id: str) -> tuple[int, Act, timedelta] | None:
        """What they do when they are seen waiting there: which act of theirs, and after how long."""
        for number, (act, pause) in enumerate(zip(self.script.acts, self.hesitations, strict=True)):
            if act.at == node_id:
                return number, act, pause
        return None


def draw(*, participants: int, run: str, seed: int) -> list[Person]:
    """Everybody who takes part, by arrival; the same seed gives the same people under any run."""
    dice = random.Random(seed)  # noqa: S311  # a plan that can be drawn again is the point
    scripts = list(SCRIPTS[:participants])
    scripts += dice.choices(SCRIPTS, [script.weight for script in SCRIPTS], k=participants - len(scripts))
    people = [_person(script, number, run, dice) for number, script in enumerate(scripts, 1)]
    return sorted(people, key=lambda person: person.arrives)


def graph(flow: str, receiver: str) -> JSON:
    """The graph of a flow, whose calls go to the receiver, or of a journey."""
    if flow in JOURNEYS:
        return loading.graph(flow)
    text = resources.files("kalcifer.demo").joinpath("flows", f"{flow}.json").read_text(encoding="utf-8")
    found: JSON = json.loads(text.replace("{receiver}", receiver))
    return found


def effects_expected(people: Iterable[Person]) -> dict[tuple[str, str], str]:
    """Every call that has to be made, as (effect, participant), and the flow that makes it."""
    return {
        (effect, person.participant_id): person.script.flow for person in people for effect in person.script.effects
    }


def of_flow(people: Iterable[Person], flow: str) -> list[Person]:
    """Those who go through one flow."""
    return [person for person in people if person.script.flow == flow]


def outcomes(people: Sequence[Person], flow: str) -> dict[str, int]:
    """How many are expected to end in which way, in the order of the scripts."""
    counts = {script.outcome: 0 for script in SCRIPTS if script.flow == flow}
    for person in of_flow(people, flow):
        counts[person.script.outcome] += 1
    return {outcome: count for outcome, count in counts.items() if count}


def _person(script: Script, number: int, run: str, dice: random.Random) -> Person:
    participant = f"{run}-{script.flow}-{number:04}"
    return Person(
        participant_id=participant,
        script=script,
        arrives=ARRIVALS * dice.random(),
        entry=_entry(script, participant, dice),
        hesitations=tuple(LONGEST_HESITATION * dice.random() for _ in script.acts),
        profile=_profile(script, number, dice) if script.flow in JOURNEYS else {},
    )


# Nobody comes into a segment before they do what they came for.
def _profile(script: Script, number: int, dice: random.Random) -> JSON:
    known = crowd.facts(dice, number)
    return {**known, "tags": [], "properties": {**known["properties"], "days_since_order": 3}, **dict(script.profile)}


def _entry(script: Script, participant: str, dice: random.Random) -> JSON:
    match script.flow:
        case "onboarding":
            usual: JSON = {"region": dice.choice(REGIONS)}
        case "order":
            usual = {"order_id": f"order-{participant}", "card": "good", "total": dice.randint(10, 90)}
        case "trial":
            usual = {"plan": "trial"}
        case "cart":
            usual = {"cart_id": f"cart-{participant}", "value": dice.randint(20, 300)}
        case "escalation":
            usual = {"invoice_id": f"invoice-{participant}", "amount": dice.randint(20, 2000)}
        case "win_back" | "re_permission":
            usual = {}
        case _:
            usual = {"amount": dice.randint(20, 2000), "currency": "EUR"}
    return usual | dict(script.entry)
