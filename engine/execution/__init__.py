"""How instances are run: claimed, driven in memory, written."""
