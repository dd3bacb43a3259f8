"""Whom an id stands for: a profile that was merged is the one that it was merged into."""

from typing import Final

# `asked` is the profile of each of `who`, `c` the active one that goes on for it. One look by key for each: planned as
# joins while a table is new to the planner, every row of a tenant may be compared with every other.
GOING_ON: Final = """
    unnest(%(who)s::text[]) AS wanted(id)
     CROSS JOIN LATERAL (
        SELECT * FROM customers WHERE tenant_id = %(tenant)s AND external_id = wanted.id OFFSET 0
     ) AS asked
     CROSS JOIN LATERAL (
        SELECT asked.* WHERE asked.state = 'active'
        UNION ALL
        SELECT m.* FROM customers m
         WHERE asked.state = 'merged' AND m.tenant_id = %(tenant)s AND m.external_id = asked.merged_into
           AND m.state = 'active'
     ) AS c
"""
