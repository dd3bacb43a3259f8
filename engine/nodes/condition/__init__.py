"""Node types that choose a branch."""
