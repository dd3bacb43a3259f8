"""Messages per second, written, queued and sent by the provider `log`; alone, and at a pace beside events."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from benchmarks import figures, graphs
from benchmarks.bench import CHUNK, Bench, name_of, wait_until
from benchmarks.failures import Unaccounted
from benchmarks.system import Reading
from benchmarks.workloads import events as events_workload
from engine import triggers
from engine.connections import execute, one
from flows.models import Flow
from marketing.channels import accounts
from marketing.segments import evaluation
from marketing.templates import store

WARM_UP = 200
PACE = 1_000

MAKE_CUSTOMERS = f"""
    INSERT INTO customers (id, tenant_id, external_id, email, phone, name, timezone, locale, properties, tags,
                           preferences, state, merged_into, created_at, updated_at)
    SELECT {evaluation.NEW_ID}, %(tenant)s, name, name || '@example.org', '', 'Ada ' || name, 'Europe/Berlin', 'de',
           '{{"plan": "pro"}}', '{{}}', '{{}}', 'active', '', now(), now()
      FROM unnest(%(names)s::text[]) AS name
"""
LEFT = "SELECT count(*) FROM deliveries WHERE flow_id = %s AND status IN ('queued', 'claimed')"
BY_STATUS = "SELECT status, count(*) FROM deliveries WHERE flow_id = %s GROUP BY status"

WORDS = {
    "subject": "{{ participant.name }}, your {{ vars.plan | default: 'plan' }} is ready",
    "html": "<p>Hello {{ participant.name }},</p><ul>{% for item in vars.items %}<li>{{ item.name }}: {{ item.price }}"
    '</li>{% endfor %}</ul><p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>',
    "text": "Hello {{ participant.name }}, {{ unsubscribe_url }}",
}
ITEMS = [{"name": f"Item {number}", "price": number * 10} for number in range(3)]


def run(bench: Bench) -> dict[str, Any]:
    """Measure."""
    messages, events = bench.size(10_000, 1_000), bench.size(20_000, 2_000)
    accounts.send_to_log(bench.tenant)
    store.create(bench.tenant, "bench-sends", channel="email", parts=WORDS)
    rates, costs, alone, beside, sent_beside = [], [], [], [], []
    with bench.running() as supervisor:
        _send(bench, WARM_UP)
        url = supervisor.options.url
        events_workload.resume(bench, url, events_workload.WARM_UP)
        for number in range(1, bench.runs + 1):
            seconds, cost = _send(bench, messages)
            rates.append(messages / seconds)
            costs.append(cost)
            alone.append(events / events_workload.resume(bench, url, events)[0])
            with _sending(bench) as pace:
                beside.append(events / events_workload.resume(bench, url, events)[0])
            sent_beside.append(pace.rate)
            bench.note(
                f"  run {number}: {rates[-1]:,.0f} messages per second; {alone[-1]:,.0f} events per second alone, "
                f"{beside[-1]:,.0f} beside {sent_beside[-1]:,.0f} messages per second"
            )
    return {
        "messages_per_s": figures.of_runs(rates),
        "events_alone_per_s": figures.of_runs(alone),
        "events_beside_per_s": figures.of_runs(beside),
        "messages_beside_per_s": figures.of_runs(sent_beside),
        "messages": messages,
        "events": events,
        "per_message": figures.merge(costs),
    }


def _send(bench: Bench, messages: int) -> tuple[float, dict[str, Any]]:
    flow = _flow(bench, messages)
    before, began = Reading.now(), time.perf_counter()
    bench.start(flow, messages)
    _wait_until_sent(bench, flow, messages)
    return time.perf_counter() - began, Reading.now().since(before, messages)


class _Pace(threading.Thread):
    """Starts runs that send, a tenth of a second's worth at a time, until it is told to stop."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(name="sends")
        self.bench, self.flow, self.started, self.rate = bench, _flow(bench, 120 * PACE), 0, 0.0
        self.done = threading.Event()
        self.trouble: Exception | None = None

    def run(self) -> None:
        began = time.perf_counter()
        try:
            while not self.done.wait(max(0.0, began + self.started / PACE - time.perf_counter())):
                names = [name_of(self.flow, self.started + number) for number in range(PACE // 10)]
                triggers.start_many(self.flow, names)
                self.started += len(names)
        except Exception as error:  # noqa: BLE001 - raised again where the thread is joined
            self.trouble = error
        finally:
            connection.close()


@contextmanager
def _sending(bench: Bench) -> Iterator[_Pace]:
    pace = _Pace(bench)
    began = time.perf_counter()
    pace.start()
    try:
        yield pace
    finally:
        pace.done.set()
        pace.join()
    # What was sent while the events were under way; the rest is waited for, and counted.
    sent = dict(execute(BY_STATUS, [pace.flow.pk]).fetchall()).get("sent", 0)
    pace.rate = sent / (time.perf_counter() - began)
    if pace.trouble is not None:
        raise pace.trouble
    _wait_until_sent(bench, pace.flow, pace.started)


def _flow(bench: Bench, people: int) -> Flow:
    items = {"template_id": "bench-sends", "vars": {"plan": {"ref": "participant.plan"}, "items": ITEMS}}
    flow = bench.publish(graphs.sending("send_email", items))
    for first in range(0, people, CHUNK * 10):
        names = [name_of(flow, number) for number in range(first, min(first + CHUNK * 10, people))]
        execute(MAKE_CUSTOMERS, {"tenant": bench.tenant.pk, "names": names})
    return flow


def _wait_until_sent(bench: Bench, flow: Flow, messages: int) -> None:
    bench.wait_while(flow, "running", "waiting")
    wait_until(lambda: not one(LEFT, [flow.pk]), what="every message to be sent", tick=0.1)
    found = dict(execute(BY_STATUS, [flow.pk]).fetchall())
    if found != {"sent": messages}:
        raise Unaccounted(f"{messages} should be sent; there are {found}.")
