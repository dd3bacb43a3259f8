"""Every address by which a person has been reached: what is kept of addresses belongs to them, too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from engine.connections import execute
from marketing.channels.recipients import normalised

# Those of their profiles, of their devices, and those that anything was sent to.
KNOWN: Final = """
    SELECT 'email', email FROM customers WHERE tenant_id = %(tenant)s AND external_id = ANY(%(names)s)
     UNION
    SELECT channel, phone FROM customers CROSS JOIN unnest(ARRAY['sms', 'whatsapp']) AS channel
     WHERE tenant_id = %(tenant)s AND external_id = ANY(%(names)s)
     UNION
    SELECT 'push', p.token FROM customers c JOIN push_tokens p ON p.customer_id = c.id
     WHERE c.tenant_id = %(tenant)s AND c.external_id = ANY(%(names)s)
     UNION
    SELECT channel, recipient FROM deliveries WHERE tenant_id = %(tenant)s AND participant_id = ANY(%(names)s)
"""


def of_people(tenant_id: Any, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give the channels and addresses of these ids, side by side, as suppressions know them."""
    rows: Iterable[tuple[str, str]] = execute(KNOWN, {"tenant": tenant_id, "names": list(names)}).fetchall()
    found = sorted({(channel, normalised(channel, address)) for channel, address in rows if address})
    return [channel for channel, _ in found], [address for _, address in found]
