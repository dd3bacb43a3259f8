"""Node types that hold a token."""
