"""What operators and marketers want to know of many runs: counted from the log by projections, read by the API."""
