"""What marketing hands in to the engine at start-up."""

from engine import checks, ports
from marketing.consent.lookup import StoredPreferences
from marketing.customers.store import Profiles


def connect() -> None:
    """Bind the ports and tell publishing what exists; may be called twice."""
    preferences = StoredPreferences()
    ports.bind(profiles=Profiles(), preferences=preferences)
    checks.register_resolver("topic", preferences.topics)
