"""What marketing keeps, as operators see it."""

from marketing.admin import channels, customers, deliveries, journeys, segments, statistics, templates

__all__ = ["channels", "customers", "deliveries", "journeys", "segments", "statistics", "templates"]
