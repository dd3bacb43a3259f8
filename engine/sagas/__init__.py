"""Sagas: steps that are done, and undone in reverse order when one of them fails."""
