"""REST of flows and versions, and the read side of instances."""
