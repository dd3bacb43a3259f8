"""Messages and conversions in figures."""
