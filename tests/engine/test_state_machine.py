"""State machines of users' own: the arrows, and nothing but the arrows."""

from __future__ import annotations

from enum import StrEnum

import pytest

from engine import StateMachine, WorkflowState
from flows.errors import IllegalTransition


class State(StrEnum):
    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


ARROWS = {State.OPEN: [State.FROZEN, State.CLOSED], State.FROZEN: [State.OPEN], State.CLOSED: []}
ACCOUNT = StateMachine(ARROWS, initial=State.OPEN, name="account")


@pytest.mark.parametrize("source", State)
@pytest.mark.parametrize("target", State)
def test_every_pair_is_allowed_exactly_where_there_is_an_arrow(source: State, target: State) -> None:
    if source == target or target in ARROWS[source]:
        assert ACCOUNT.allows(source, target)
        assert ACCOUNT.move(source, target) == target
    else:
        assert not ACCOUNT.allows(source, target)
        with pytest.raises(IllegalTransition, match=f"An account that is {source} cannot become {target}"):
            ACCOUNT.move(source, target)
        with pytest.raises(IllegalTransition):
            ACCOUNT.check(source, target)


def test_a_state_that_is_not_there_goes_nowhere() -> None:
    assert not ACCOUNT.allows("bogus", "bogus")
    with pytest.raises(IllegalTransition):
        ACCOUNT.move("bogus", "bogus")


def test_a_machine_knows_its_states() -> None:
    assert ACCOUNT.states == {"open", "frozen", "closed"}
    assert ACCOUNT.terminal == {"closed"}
    assert ACCOUNT.initial == "open"


@pytest.mark.parametrize("stranger", ["nowhere", ""])
def test_a_state_that_is_not_there_is_refused_when_the_machine_is_made(stranger: str) -> None:
    with pytest.raises(ValueError, match="Not among the states"):
        StateMachine({"open": [stranger]}, initial="open")
    with pytest.raises(ValueError, match="Not among the states"):
        StateMachine({"open": []}, initial=stranger)


def test_a_state_that_a_machine_does_not_know_leads_nowhere() -> None:
    with pytest.raises(IllegalTransition):
        ACCOUNT.move("melted", "open")


def test_the_states_of_a_saga_are_public() -> None:
    assert WorkflowState.COMPENSATED == "COMPENSATED"
