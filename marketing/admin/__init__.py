"""What marketing keeps, as operators see it."""

from marketing.admin import customers, journeys, segments, statistics, templates

__all__ = ["customers", "journeys", "segments", "statistics", "templates"]
