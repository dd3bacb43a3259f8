"""What marketing keeps, as operators see it."""

from marketing.admin import segments, templates

__all__ = ["segments", "templates"]
