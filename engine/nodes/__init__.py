"""Node types: what the steps of a flow can be."""
