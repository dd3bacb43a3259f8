"""What marketing keeps, as operators see it."""

from marketing.admin import segments

__all__ = ["segments"]
