"""Runs the product with sample flows and simulated people, and says whether everybody ended where they should."""

import json
import secrets
import signal
import sys
import threading
from argparse import ArgumentParser
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import CommandError
from rich.console import Console

from engine import clock
from engine.conf import engine_settings
from kalcifer.demo import mail, orders, plan, report, stage
from kalcifer.demo.api import Api, Refused
from kalcifer.demo.chaos import Chaos
from kalcifer.demo.progress import Progress
from kalcifer.demo.receiver import Receiver
from kalcifer.demo.sample import loading
from kalcifer.demo.simulation import Simulation
from kalcifer.embedded.layout import Layout
from kalcifer.exits import Exit
from kalcifer.management.commands import up
from kalcifer.supervisor import Supervisor

# Ten hours in a second: the shortest decision, eight days, leaves nineteen seconds.
SPEED = 36_000.0
LONGEST_STORY_DAYS = 40
MARGIN_S = 60.0
PORTS = 65_536


class Command(up.Command):
    """`manage.py demo`."""

    help = "Run everything with sample flows and simulated people, and compare what becomes of them with the plan."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Those of `up`, and the demo's own."""
        super().add_arguments(parser)
        parser.add_argument("--participants", type=int, default=300, help="simulated people (default %(default)s)")
        parser.add_argument(
            "--customers", type=int, default=loading.CUSTOMERS, help="customers of the sample (default %(default)s)"
        )
        parser.add_argument(
            "--exit", action="store_true", help="stop when all is over; 0 only if all went as it should"
        )
        parser.add_argument("--chaos", action="store_true", help="kill workers and empty Redis all the while")
        parser.add_argument("--json", action="store_true", help="one JSON document on stdout, progress on stderr")
        parser.add_argument("--seed", type=int, default=1, help="another seed, other people (default %(default)s)")
        parser.add_argument(
            "--speed", type=float, default=SPEED, help="engine seconds per second (default %(default)s)"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Start, play, compare, and stay or stop."""
        _check(options)
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        console = Console(stderr=options["json"])
        result = self._run(options, ended, console)
        if ended.is_set() and result is None:
            raise CommandError("Stopped before everybody was through.", returncode=int(Exit.FAILED))
        if result is not None and not result.ok:
            sys.exit(Exit.FAILED)

    def _run(self, options: dict[str, Any], ended: threading.Event, console: Console) -> report.Report | None:
        console.print("Starting web, workers, beat and sweeper ...")
        with ExitStack() as stack:
            prepared = _prepare(options)
            stack.callback(_set_pace, 1)
            supervisor = stack.enter_context(prepared)
            receiver = stack.enter_context(Receiver((options["port"] + 1) % PORTS))
            if not supervisor.wait_ready(up.READY_WITHIN, unless=ended):
                if ended.is_set():
                    return None
                raise CommandError(
                    f"Not everything became ready; the logs are in {supervisor.options.logs}.",
                    returncode=int(Exit.NOT_READY),
                )
            access = stage.open_doors()
            _tell_where(supervisor, access, console)
            result = _play(options, supervisor, receiver, access, ended, console)
            if result is None:
                return None
            # What is looked at afterwards stays what it was: at speed a month is over before the table is read.
            _set_pace(1)
            self._tell(result, options, console)
            if not options["exit"]:
                console.print("From here on the clock goes at its usual pace.", highlight=False)
                _tell_where(supervisor, access, console)
                ended.wait()
            console.print("Stopping ...")
            return result

    def _tell(self, result: report.Report, options: dict[str, Any], console: Console) -> None:
        report.show(result, console)
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json() | {"seed": options["seed"], "speed": options["speed"]}))
            self.stdout.flush()


def _check(options: dict[str, Any]) -> None:
    if not 1 <= options["participants"] <= 10_000:  # noqa: PLR2004  # more would say nothing more
        raise CommandError("--participants has to be between 1 and 10000.", returncode=2)
    if not 1 <= options["speed"] <= 1_000_000:  # noqa: PLR2004  # eleven days in a second
        raise CommandError("--speed has to be between 1 and 1000000.", returncode=2)


def _prepare(options: dict[str, Any]) -> Supervisor:
    prepared = up.prepare(options).options
    clock.go_on_from_seen()
    _set_pace(options["speed"])
    environment = {
        "KALCIFER_DEMO": "1",
        # The processes go by the pace that is set in the database.
        "KALCIFER_CLOCK_SPEED": "",
        "KALCIFER_ALLOW_PRIVATE_ADDRESSES": "127.0.0.1/32",
    }
    return Supervisor(replace(prepared, environment=environment, logs=Layout.of(settings.KALCIFER_DATA_DIR).logs))


def _play(
    options: dict[str, Any],
    supervisor: Supervisor,
    receiver: Receiver,
    access: stage.Access,
    ended: threading.Event,
    console: Console,
) -> report.Report | None:
    run = f"run{secrets.token_hex(3)}"
    people = plan.draw(participants=options["participants"], run=run, seed=options["seed"])
    placed = orders.draw(count=max(len(orders.WAYS), len(people) // 5), run=run, seed=options["seed"])
    seconds = LONGEST_STORY_DAYS * 86_400 / options["speed"] + MARGIN_S
    api = Api(supervisor.options.url, access.api_key, ended)
    with ExitStack() as stack:
        stack.callback(api.close)
        damage = stack.enter_context(Chaos(supervisor, options["seed"])).damage if options["chaos"] else None
        totals = Counter(person.script.flow for person in people)
        progress = stack.enter_context(Progress(console, totals, options["speed"], damage))
        try:
            flows = stage.publish_flows(api, receiver.url)
            flows |= _load(access, options["customers"])
            mail.introduce(api, people)
            orders.start(api, receiver.url, placed)
            simulation = Simulation(api, flows, people, speed=options["speed"])
            with mail.Readers(api, access.tenant) as readers:
                simulation.play(seconds=seconds, ended=ended, show=progress.show)
                delivered = orders.see_through(api, placed, seconds=MARGIN_S, ended=ended)
                posted = mail.sent(api, flows, people, seconds=MARGIN_S, ended=ended)
        except (httpx.TransportError, Refused) as error:
            if ended.is_set():
                return None
            raise CommandError(f"The API did not do its part: {error}", returncode=int(Exit.FAILED)) from error
    if ended.is_set():
        return None
    result = _compared(Played(people, placed, simulation, delivered, posted, flows), receiver)
    result.opened, result.clicked = readers.opened, readers.clicked
    if damage is not None:
        result.killed, result.flushed = damage.kills, damage.flushes
    return result


# Who is in a segment by the clock of the processes enters.
def _load(access: stage.Access, customers: int) -> dict[str, str]:
    clock.resync()
    return loading.load(access.tenant, customers=customers).flows


@dataclass(frozen=True, slots=True)
class Played:
    """Who took part, and what was found of it."""

    people: list[plan.Person]
    placed: list[orders.Order]
    simulation: Simulation
    delivered: dict[str, str]
    posted: dict[str, Any]
    flows: dict[str, str]


def _compared(played: Played, receiver: Receiver) -> report.Report:
    people, flows, found = played.people, played.flows, played.simulation.found
    kept_out = frozenset(person.participant_id for person in people if mail.is_kept_out(person, flows))
    result = report.compare(people, found, receiver.ledger, kept_out=kept_out)
    report.add_orders(result, played.placed, played.delivered, receiver.ledger)
    messages = mail.lines(people, flows, played.posted), mail.differences(people, flows, played.posted)
    report.add_messages(result, *messages)
    result.problems += [f"{participant}: was started twice" for participant in sorted(played.simulation.twice)]
    return result


def _tell_where(supervisor: Supervisor, access: stage.Access, console: Console) -> None:
    url = supervisor.options.url
    lines = (
        f"admin    {url}/admin/   login {access.login}   password {access.password}",
        f"API      {url}/api/v1/docs   key {access.api_key}",
        "Ctrl-C stops it.",
    )
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


# For every process at once. A later `up` on the same data goes on from where this one ends, second by second.
def _set_pace(speed: float) -> None:
    settings.KALCIFER_CLOCK_SPEED = float(speed)
    engine_settings.cache_clear()
    clock.resync()
    clock.now()
