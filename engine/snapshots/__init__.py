"""Snapshots: folds of aggregates, kept so that the next one need not begin at the first event."""
