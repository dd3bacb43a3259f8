"""The log of what happened."""
