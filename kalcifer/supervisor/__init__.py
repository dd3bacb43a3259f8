"""Runs every process of Kalcifer on one machine: `Supervisor(Options(...))`, for `up`, `demo` and `bench`."""

from kalcifer.supervisor.options import Options
from kalcifer.supervisor.supervisor import Supervisor

__all__ = ["Options", "Supervisor"]
