"""What marketing keeps, as operators see it."""

from marketing.admin import customers, deliveries, journeys, segments, statistics, templates

__all__ = ["customers", "deliveries", "journeys", "segments", "statistics", "templates"]
