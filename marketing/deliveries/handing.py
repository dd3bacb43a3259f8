"""
Handing messages over, group by group: "about to" is committed, the provider is called, what it said is committed.

Whoever dies in between leaves messages with a claim of an attempt that is over. A provider that takes keys is asked
again under the same key; for any other the outcome is unknown, and nothing is sent twice. A database that goes away in
between and comes back soon is told what the provider said.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from django.db import InterfaceError, OperationalError, close_old_connections, transaction

from engine import clock, patience
from engine.leases import Lease
from engine.nodes.outcomes import Completed, Outcome
from marketing.channels import gate
from marketing.channels.accounts import account_for
from marketing.channels.provider import Account, Outgoing, Unknown, Verdict
from marketing.customers.erasure import PREFIX as PSEUDONYM
from marketing.deliveries import errands, letters, reading, sifting, states, suppressions, telling, verdicts
from marketing.deliveries.reading import Held
from marketing.deliveries.sifting import Refusal
from marketing.deliveries.states import Move
from marketing.deliveries.telling import Told
from marketing.templates.errors import CannotRender

logger = logging.getLogger(__name__)
JSON = dict[str, Any]
Going = dict[str, tuple[Held, list[Outgoing]]]
Answered = tuple[str, str, Verdict]

# So many groups of a process are prepared at a time: what the machine does itself goes no faster by more of them, and
# each is a session of the database that takes its share from whatever else is to be done. Providers are called by as
# many threads as there are.
AT_ONCE: Final = 2
TURN_WITHIN_S: Final = 5.0
# Of a provider that takes no keys so many messages are unknown at most when a worker dies.
CAREFUL: Final = 8
# From this attempt on a group goes one by one: one of its messages may be what kills the workers.
SPLIT_AT: Final = 3
# Who belongs to a run that an operator has paused is looked at again after so many seconds.
PAUSED_S: Final = 30.0
# A crowd before a narrow gate comes back ever more rarely: to look at all of them each second would cost more than to
# send them. There are always enough of them to use what the gate lets through.
LONGEST_PUT_OFF_S: Final = 60.0
# So long a verdict waits for a database that is away; after that its message is one whose worker has died.
AWAY_S: Final = 30.0
LOOK_EVERY_S: Final = 0.2


def hand_over(lease: Lease) -> Outcome:
    """Hand over the messages of an errand; the handler of activities of the kind `send`."""
    ids = lease.input["ids"]
    if lease.attempt >= SPLIT_AT and len(ids) > 1:
        with transaction.atomic(durable=True):
            errands.run_each(lease.tenant_id, lease.flow_id, ids)
        return Completed({"split": len(ids)})
    counts: Counter[str] = Counter()
    put_off = lease.input.get("put_off", 0)
    groups = _groups(lease.tenant_id, ids)
    while True:
        # Until "about to" is committed it is the machine that is busy; the provider may take as long as it likes.
        with _turn():
            if (found := next(groups, None)) is None:
                return Completed(dict(counts))
            group = _Group(lease.tenant_id, found[0], f"{lease.id}:{lease.attempt}", put_off)
            going = group.prepare(found[1])
        counts += group.counted(going) + group.send(going)


_desk: Final = threading.BoundedSemaphore(AT_ONCE)


# A courtesy and no rule: where the others wait for somebody's locks, a group goes on beside them.
@contextmanager
def _turn() -> Iterator[None]:
    is_seated = _desk.acquire(timeout=TURN_WITHIN_S)
    try:
        yield
    finally:
        if is_seated:
            _desk.release()


# By account, and no more at once than may become unknown at once; what was not read a moment ago is read again.
def _groups(tenant_id: str, ids: Sequence[str]) -> Iterator[tuple[Account | None, list[Held]]]:
    by_account: dict[tuple[str, str | None], list[Held]] = defaultdict(list)
    for each in reading.read(tenant_id, ids):
        by_account[each.channel, each.account_name].append(each)
    for (channel, name), held in sorted(by_account.items(), key=lambda pair: (pair[0][0], pair[0][1] or "")):
        account = account_for(tenant_id, channel, name)
        if account is None or account.provider.takes_keys:
            yield account, held
            continue
        for start in range(0, len(held), CAREFUL):
            some = held[start : start + CAREFUL]
            yield account, reading.read(tenant_id, [each.id for each in some]) if start else some


class _Group:
    """Messages of one account, on their way together."""

    def __init__(self, tenant_id: str, account: Account | None, claim: str, put_off: int = 0) -> None:
        self.tenant_id, self.account, self.claim, self.put_off = tenant_id, account, claim, put_off
        self.moves: list[tuple[Held, Move]] = []
        self.claimed: Mapping[str, str] = {}
        # What is looked at again, by seconds of wall time and by how often a gate has held it back.
        self.later: dict[tuple[float, int], list[Held]] = defaultdict(list)

    def prepare(self, held: Sequence[Held]) -> Going:
        """Take the messages up to where the provider is called; give those that got so far, with what it gets."""
        now = clock.now()
        fit, refused = sifting.sift(self.tenant_id, self._not_lost(held), now)
        self._settle(refused)
        fit = self._let_through(self._not_paused(fit))
        ready = self._write(fit)
        self.claimed = self._claim(now)
        return {each.id: (each, messages) for each, messages in ready if each.id in self.claimed}

    def counted(self, going: Going) -> Counter[str]:
        """Give how many of the others went where."""
        return Counter(move.status for _, move in self.moves if move.id in self.claimed and move.id not in going)

    # What an attempt that is over has left: nobody knows whether the provider has it, unless asking again is harmless.
    def _not_lost(self, held: Sequence[Held]) -> list[Held]:
        takes_keys = self.account is not None and self.account.provider.takes_keys
        lost = [each for each in held if each.claim and not takes_keys]
        detail = "A worker died while it handed the message over."
        self._settle([(each, Refusal("unknown", "provider_unknown", detail)) for each in lost])
        return [each for each in held if not each.claim or takes_keys]

    def _settle(self, refused: Sequence[tuple[Held, Refusal]]) -> None:
        self.moves += [(each, refusal.of(each)) for each, refusal in refused]

    def _not_paused(self, held: Sequence[Held]) -> list[Held]:
        self.later[PAUSED_S, 0] += [each for each in held if each.run_status == "paused" and each.resend_of is None]
        return [each for each in held if each.run_status != "paused" or each.resend_of is not None]

    # What the provider may get now; the rest comes back when it may be tried.
    def _let_through(self, held: list[Held]) -> list[Held]:
        if not held:
            return held
        if self.account is None:
            detail = f"There is no channel for {held[0].account_name or held[0].channel}."
            self._settle([(each, Refusal("skipped", "no_provider", detail)) for each in held])
            return []
        allowed, pause = gate.pass_many(self.account, len(held))
        if pause is not None:
            rate = self.account.rate_per_second
            least = max(pause.total_seconds(), (len(held) - allowed) / rate if rate else 0.0)
            grown = patience.pause(self.put_off + 1, least, max(least, LONGEST_PUT_OFF_S))
            self.later[grown, self.put_off + 1] += held[allowed:]
        return held[:allowed]

    def _write(self, held: Sequence[Held]) -> list[tuple[Held, list[Outgoing]]]:
        ready = []
        for each, (content, letter) in zip(held, letters.write_many(self.tenant_id, held) if held else (), strict=True):
            if content is None or isinstance(letter, CannotRender):
                assert isinstance(letter, CannotRender)
                detail = f"{letter.place()}: {letter.detail}" if letter.place() else letter.detail
                self._settle([(each, Refusal("failed", letter.reason, detail))])
                continue
            messages = letters.outgoing(each, content, letter)
            self.moves.append((each, self._claiming(each, messages, content.version)))
            ready.append((each, messages))
        return ready

    def _claiming(self, held: Held, messages: Sequence[Outgoing], version: int | None) -> Move:
        assert self.account is not None
        return Move(
            held.id,
            "claimed",
            was_claim=held.claim,
            claim=self.claim,
            provider=self.account.provider.name,
            recipient=messages[0].recipient[:512],
            rendered=dict(messages[0].parts),
            template_version=version,
            tries=1,
        )

    # Whoever was moved by somebody else meanwhile (cancelled, claimed, replaced by a newer one) is left alone.
    def _claim(self, now: datetime) -> Mapping[str, str]:
        with transaction.atomic(durable=True):
            moved = states.move([move for _, move in self.moves], now)
            telling.tell(self.tenant_id, list(_told(self.moves, moved)))
            self._put_off()
        self.later.clear()
        return moved

    def _put_off(self, among: Container[str] | None = None) -> None:
        for (pause, put_off), held in self.later.items():
            messages = [(each.id, each.flow_id) for each in held if among is None or each.id in among]
            errands.run_many(self.tenant_id, messages, pause_s=pause, put_off=put_off)

    def send(self, going: Going) -> Counter[str]:
        """Call the provider and record what it says; give how many went where."""
        if not going:
            return Counter()
        assert self.account is not None
        messages = [message for _, several in going.values() for message in several]
        given = self._ask(messages)
        by_delivery: dict[str, list[Verdict]] = defaultdict(list)
        for message, verdict in zip(messages, given, strict=True):
            by_delivery[message.delivery_id].append(verdict)
        now = clock.now()
        judged = []
        for key, several in by_delivery.items():
            held = going[key][0]
            judgement = verdicts.judge(held, several, self.claim, now, takes_keys=self.account.provider.takes_keys)
            judged.append((held, judgement.move))
            if judgement.pause_s is not None:
                self.later[judgement.pause_s, 0].append(held)
        answered = [(each.channel, each.recipient, said) for each, said in zip(messages, given, strict=True)]
        _when_it_is_back(lambda: self._record(judged, answered, now))
        gate.tell(self.account, given)
        return Counter(move.status for _, move in judged)

    # Where it is not known whether it was recorded, the second time finds nothing to move, and does nothing more.
    def _record(self, judged: Sequence[tuple[Held, Move]], answered: Iterable[Answered], now: datetime) -> None:
        with transaction.atomic(durable=True):
            moved = states.move([move for _, move in judged], now)
            telling.tell(self.tenant_id, list(_told(judged, moved)))
            suppressions.learn_many(self.tenant_id, answered)
            self._put_off(among=moved)

    # A provider promises not to raise; one that does all the same may have sent something.
    def _ask(self, messages: Sequence[Outgoing]) -> Sequence[Verdict]:
        assert self.account is not None
        try:
            given = self.account.provider.send_many(self.account, messages)
        except Exception:
            logger.exception("provider.raised", extra={"provider": self.account.provider.name})
            given = []
        missing = len(messages) - len(given)
        return [*given[: len(messages)], *[Unknown("no_verdict", "The provider gave no verdict.")] * missing]


# What a provider has said nobody else knows.
def _when_it_is_back(record: Callable[[], None]) -> None:
    until = time.monotonic() + AWAY_S
    while True:
        try:
            return record()
        except (OperationalError, InterfaceError):
            if time.monotonic() > until:
                raise
            logger.warning("delivery.verdict_waits", exc_info=True)
        close_old_connections()
        time.sleep(LOOK_EVERY_S)


# Told is whose message it is by now, and nothing of whom was erased since it was read.
def _told(moves: Iterable[tuple[Held, Move]], moved: Mapping[str, str]) -> Iterator[Told]:
    for each, move in moves:
        whose = moved.get(each.id, PSEUDONYM)
        if not whose.startswith(PSEUDONYM):
            yield Told(
                each.id, each.channel, whose, each.flow_id, each.instance_id, each.node_id, each.template_id,
                each.awaited, move.status, move.reason,
            )  # fmt: skip
