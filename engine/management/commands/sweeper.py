"""Runs the sweeper: what works on PostgreSQL without the broker."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from engine.sweeper import Sweeper


class Command(BaseCommand):
    """Sweep until told to stop; one per host is enough, more do no harm."""

    help = "Sweep for work that no doorbell announced, and do it without the broker while that is away."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        sweeper = Sweeper()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sweeper.stop())
        sweeper.run()
