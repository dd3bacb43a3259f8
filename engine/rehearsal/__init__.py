"""Rehearsals: one participant through a graph at no time, with nothing written and nobody called."""
