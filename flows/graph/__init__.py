"""Graphs as values: reading them, walking them, and the rules of a well-formed one."""
