"""Actions that say something to someone."""
