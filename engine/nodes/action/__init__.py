"""Node types that do something."""
