"""Read models that are built from the log, each event once and in order."""
