"""What every error of the engine is, and what any part of it can refuse."""

from __future__ import annotations

from tenants.errors import KalciferError


class EngineError(KalciferError):
    """Base of every error the engine raises on purpose."""

    code = "engine_error"


class InvalidRetry(EngineError):
    """Attempts cannot follow each other like this."""

    code = "invalid_retry"


class InvalidTenant(EngineError):
    """A tenant is given as a Tenant or its id."""

    code = "invalid_tenant"
    internal = True


class InvalidFunction(EngineError):
    """Flows cannot call this function, or not by this name."""

    code = "invalid_function"
    internal = True
