"""Node types that a path stops at."""
