"""The engine's language, for tests in which several connections meet."""

from tests.engine.conftest import (
    fake_time,
    flow_of,
    now,
    other_tenant,
    own_registry,
    passage,
    rung,
    tenant,
)

__all__ = ["fake_time", "flow_of", "now", "other_tenant", "own_registry", "passage", "rung", "tenant"]
