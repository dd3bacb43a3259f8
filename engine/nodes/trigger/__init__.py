"""Node types that an instance begins with."""
