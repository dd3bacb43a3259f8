"""
The proof that rows, events and snapshots agree.

Every aggregate is rebuilt from its events, with its snapshot and without, and compared with its row. Columns that no
event determines (marks, leases, priority, deaths, `log_tx`) are left out. An event that has no place in its log is
reported and not applied. Nothing is written, but that a snapshot that turned out wrong is thrown away.
"""

from engine.verify.differences import Checked, Difference
from engine.verify.everything import count, verify

__all__ = ["Checked", "Difference", "count", "verify"]
