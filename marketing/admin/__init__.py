"""What marketing keeps, as operators see it."""

from marketing.admin import customers, segments, templates

__all__ = ["customers", "segments", "templates"]
