"""What marketing keeps, as operators see it."""

from marketing.admin import caps, channels, customers, deliveries, journeys, segments, statistics, templates, troubles

__all__ = ["caps", "channels", "customers", "deliveries", "journeys", "segments", "statistics", "templates", "troubles"]
