"""Django's entry to the app; it is installed only where KALCIFER_BENCH is set."""

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    """Brings the node types that do nothing."""

    name = "benchmarks"

    def ready(self) -> None:
        """Register the node types."""
        from benchmarks import nodes  # noqa: F401, PLC0415  # models have to be loaded first
