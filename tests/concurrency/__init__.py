"""Promises under real concurrency: many connections, many loops, one truth."""
