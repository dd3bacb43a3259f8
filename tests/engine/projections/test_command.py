"""`manage.py rebuild_projection`."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from engine import Projection, ProjectionManager
from engine.projections import registry, rounds
from tests.engine.projections.conftest import Witness

Append = Callable[..., list[str]]
Seen = Callable[..., list[str]]


def rebuild(*words: str) -> str:
    out = StringIO()
    call_command("rebuild_projection", *words, stdout=out)
    return out.getvalue()


def test_it_rebuilds_and_tells(append: Append, seen: Seen, witness: Witness) -> None:
    ids = append(7)
    rounds.run()

    told = json.loads(rebuild("witness", "--json"))
    (live,) = ProjectionManager().status_sync("witness")

    assert {**told, "seconds": 0} == {
        "name": "witness",
        "build": 2,
        "count": 7,
        "place": [live.tx, live.position],
        "seconds": 0,
    }
    assert seen() == ids
    assert rebuild("witness").startswith("witness was rebuilt as build 3 from 7 events in ")


def test_it_says_at_which_event_it_stopped(append: Append, witness: Witness) -> None:
    (culprit,) = append(poison=True)

    with pytest.raises(CommandError, match=culprit) as refusal:
        rebuild("witness")

    assert refusal.value.returncode == 1


def test_it_refuses_what_it_cannot_rebuild(append: Append) -> None:
    class Endless(Projection):
        name = "endless"

    registry.register(Endless)
    for name, said in (("endless", "clear"), ("nobody", "endless")):
        with pytest.raises(CommandError, match=said) as refusal:
            rebuild(name)
        assert refusal.value.returncode == 2
