"""What every workload needs: a tenant, the product's processes, starts in bulk, and proof that nobody was lost."""

import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from django.db import connection
from rich.console import Console

from benchmarks import graphs, interruption
from benchmarks.failures import Unaccounted
from engine import triggers
from flows.models import Flow
from kalcifer.supervisor import Options, Supervisor
from kalcifer.supervisor.options import ROLES
from tenants.models import Tenant

JSON = dict[str, Any]

CHUNK = 1_000
TICK = 0.02
PATIENCE_S = 300.0

IS_ANYBODY = "SELECT 1 FROM flow_instances WHERE flow_id = %s AND status = ANY(%s) LIMIT 1"
BY_STATUS = "SELECT status, count(*) FROM flow_instances WHERE flow_id = %s GROUP BY status"


@dataclass(slots=True)
class Bench:
    """One run of the command."""

    tenant: Tenant
    api_key: str
    console: Console
    logs: Path
    workers: int
    runs: int
    quick: bool
    rows: int = 0
    _names: Iterator[int] = field(default_factory=count)

    def size(self, full: int, quick: int) -> int:
        """How many, in a full run or in a smoke run."""
        return quick if self.quick else full

    def note(self, text: str) -> None:
        """Tell whoever waits how far it is."""
        interruption.check()
        self.console.print(text, highlight=False)

    @contextmanager
    def running(self, *roles: str, **environment: str) -> Iterator[Supervisor]:
        """Run the product's processes, all of them or these."""
        plan = Options(
            roles=roles or ROLES, port=_free_port(), workers=self.workers, logs=self.logs, environment=environment
        )
        with Supervisor(plan) as supervisor:
            if roles == ("web",):
                # Not ready, as it has nobody who would do the work; but it takes requests.
                wait_until(lambda: _answers(supervisor.options.url), what="the web to answer", seconds=60)
            elif not supervisor.wait_ready(60):
                raise Unaccounted(f"Not everything became ready; the logs are in {self.logs}.")
            yield supervisor

    def publish(self, graph: JSON) -> Flow:
        """A flow of its own for each run."""
        return graphs.publish(self.tenant, f"bench-{next(self._names)}", graph)

    def start(self, flow: Flow, participants: int) -> list[str]:
        """Start a flow for so many participants in chunks; give their instances' ids."""
        ids = []
        for first in range(0, participants, CHUNK):
            last = min(first + CHUNK, participants)
            verdicts = triggers.start_many(flow, [name_of(flow, number) for number in range(first, last)])
            ids += [verdict.instance_id for verdict in verdicts if verdict.refusal is None and verdict.instance_id]
        if len(ids) != participants:
            raise Unaccounted(f"{participants - len(ids)} of {participants} could not start.")
        return ids

    def wait_while(self, flow: Flow, *statuses: str) -> None:
        """Wait until no instance of the flow has one of these statuses."""
        wait_until(
            lambda: not _rows(IS_ANYBODY, [flow.pk, list(statuses)]), what=f"nobody to be {' or '.join(statuses)}"
        )

    def account(self, flow: Flow, status: str, participants: int) -> None:
        """Raise Unaccounted unless exactly so many are there, all of this status."""
        found = dict(_rows(BY_STATUS, [flow.pk]))
        if found != {status: participants}:
            raise Unaccounted(f"{participants} should be {status}; there are {found}.")


def name_of(flow: Flow, number: int) -> str:
    """A participant's id."""
    return f"{flow.pk.hex[-12:]}-{number}"


def wait_until(fact: Callable[[], object], *, what: str, seconds: float = PATIENCE_S, tick: float = TICK) -> None:
    """Ask until the fact is true."""
    deadline = time.monotonic() + seconds
    while not fact():
        interruption.check()
        if time.monotonic() > deadline:
            raise Unaccounted(f"Waited {seconds:g} s for {what}.")
        time.sleep(tick)


def _rows(statement: str, parameters: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/v1/health", timeout=5):  # noqa: S310  # our own URL
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
