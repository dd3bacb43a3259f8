"""Stories with real processes: killed, restarted, cut off from their broker."""
