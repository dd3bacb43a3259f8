"""Kills worker processes and empties Redis while the demo runs."""

import logging
import random
import threading
from dataclasses import dataclass
from typing import Self

import redis
from django.conf import settings

from kalcifer.supervisor import Supervisor

VICTIMS = ("advance", "activities", "background", "beat", "sweeper")
EVERY = (3.0, 6.0)
RECOVERY = 30.0


@dataclass(slots=True)
class Damage:
    """What was done."""

    kills: int = 0
    flushes: int = 0


class Chaos:
    """A thread that kills one or two roles with SIGKILL and flushes Redis, every few seconds until the block ends."""

    def __init__(self, supervisor: Supervisor, seed: int) -> None:
        self.damage = Damage()
        self._supervisor = supervisor
        self._dice = random.Random(seed)  # noqa: S311  # no secret
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._rage, name="chaos", daemon=True)

    def __enter__(self) -> Self:
        # Deaths are what is wanted here; the progress counts them.
        logging.getLogger("kalcifer.supervisor").setLevel(logging.ERROR)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _rage(self) -> None:
        while not self._pause():
            victims = self._dice.sample(VICTIMS, k=self._dice.randint(1, 2))
            self.damage.kills += len(self._supervisor.kill(*victims))
            if self._pause():
                return
            forget_broker()
            self.damage.flushes += 1
            # On a busy machine, what was killed may need longer to come back than the next blow.
            self._supervisor.wait_ready(RECOVERY, unless=self._over)

    def _pause(self) -> bool:
        return self._over.wait(self._dice.uniform(*EVERY))


def forget_broker() -> None:
    """Empty our own Redis; of somebody else's, only what bears our prefix."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    try:
        if settings.REDIS_URL_IS_GIVEN:
            for key in client.scan_iter(match=f"{settings.KALCIFER_REDIS_PREFIX}*", count=1000):
                client.delete(key)
        else:
            client.flushall()
    except redis.RedisError:
        return  # it is away already, which is just as good
    finally:
        client.close()
