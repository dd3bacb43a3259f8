"""What marketing keeps, as operators see it."""

from marketing.admin import customers, journeys, segments, templates

__all__ = ["customers", "journeys", "segments", "templates"]
