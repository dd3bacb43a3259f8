"""Profiles as runs know them: read and changed for a whole batch at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from engine import clock
from engine.connections import execute
from engine.ports import ProfileChange
from marketing import depths
from marketing.consent import recording
from marketing.consent.recording import Said
from marketing.customers import fields
from marketing.going_on import GOING_ON
from marketing.segments import changes as notices

JSON = dict[str, Any]

CONSENT = "consent."

FETCH = f"""
    SELECT asked.external_id, c.external_id, c.email, c.phone, c.name, c.timezone, c.locale, c.properties, c.tags,
           c.state, c.created_at, c.last_seen_at
      FROM {GOING_ON}
"""
MERGED = """
    SELECT external_id, merged_into FROM customers
     WHERE tenant_id = %s AND external_id = ANY(%s) AND state = 'merged'
"""
# In one order, so that two batches never wait for each other.
LOCK = f"""
    SELECT found.asked_for, c.id, c.external_id, c.email, c.phone, c.name, c.timezone, c.locale, c.properties, c.tags
      FROM (SELECT asked.external_id AS asked_for, c.id FROM {GOING_ON} ORDER BY c.external_id OFFSET 0) AS found
     CROSS JOIN LATERAL (
        SELECT * FROM customers WHERE id = found.id AND state = 'active' FOR NO KEY UPDATE
     ) AS c
"""
SAVE = """
    UPDATE customers c
       SET email = n.email, phone = n.phone, name = n.name, timezone = n.timezone, locale = n.locale,
           properties = n.properties, tags = n.tags, updated_at = n.updated_at
      FROM jsonb_to_recordset(%s::jsonb) AS n(id uuid, email text, phone text, name text, timezone text, locale text,
           properties jsonb, tags text[], updated_at timestamptz)
     WHERE c.id = n.id
"""


class Profiles:
    """The engine's ProfileStore, on the table of customers."""

    def fetch_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, JSON]:
        """Give the profiles of those who have one, by id, in one query; an empty column is missing."""
        rows = execute(FETCH, {"tenant": tenant_id, "who": list(participant_ids)}).fetchall()
        return {row[0]: _profile(row[1:]) for row in rows}

    def merged_many(self, tenant_id: str, participant_ids: Sequence[str]) -> Mapping[str, str]:
        """Give, for those whose profile was merged, the one that goes on, in one query."""
        return dict(execute(MERGED, [tenant_id, list(participant_ids)]).fetchall())

    def changed(self, profile: JSON, change: ProfileChange) -> JSON:
        """Give the profile as it will be after a change."""
        empty = dict.fromkeys(fields.COLUMNS, "")
        copy = {**empty, **profile, "properties": orjson.loads(orjson.dumps(profile.get("properties", {})))}
        apply(copy, change)
        return {name: value for name, value in copy.items() if name not in fields.COLUMNS or value}

    def change_many(self, tenant_id: str, changes: Sequence[ProfileChange]) -> None:
        """Make the changes in their order, in the caller's transaction; those of unknown participants are skipped."""
        asked = sorted({change.participant_id for change in changes})
        known = {row[0]: row for row in execute(LOCK, {"tenant": tenant_id, "who": asked}).fetchall()}
        rows = {row[1]: _record(row) for row in known.values()}
        was = {key: orjson.dumps(row) for key, row in rows.items()}
        good = [change for change in changes if change.participant_id in known]
        for change in good:
            apply(rows[known[change.participant_id][1]], change)
        if moved := [row for key, row in rows.items() if orjson.dumps(row) != was[key]]:
            now = clock.now().isoformat()
            execute(SAVE, [orjson.dumps([row | {"updated_at": now} for row in moved]).decode()])
            _notify(tenant_id, good, {row["external_id"] for row in moved}, known)
        recording.record_many(tenant_id, _consents(good, known))


def apply(profile: JSON, change: ProfileChange) -> None:
    """Make a change of a profile in place; consents are no part of it."""
    for path, value in change.fields.items():
        if not path.startswith(CONSENT):
            fields.put(profile, path, value)
    profile["tags"] = fields.with_tags(profile.get("tags", []), change.add_tags, change.remove_tags)


def _profile(row: Sequence[Any]) -> JSON:
    external_id, email, phone, name, timezone, locale, properties, tags, state, created_at, seen_at = row
    columns = {"email": email, "phone": phone, "name": name, "timezone": timezone, "locale": locale}
    found = {name: value for name, value in columns.items() if value}
    if seen_at is not None:
        found["last_seen_at"] = seen_at.isoformat()
    return {
        "external_id": external_id,
        **found,
        "tags": tags,
        "state": state,
        "created_at": created_at.isoformat(),
        "properties": orjson.loads(properties),
    }


def _record(row: Sequence[Any]) -> JSON:
    _, key, external_id, email, phone, name, timezone, locale, properties, tags = row
    return {
        "id": key,
        "external_id": external_id,
        "email": email,
        "phone": phone,
        "name": name,
        "timezone": timezone,
        "locale": locale,
        "properties": orjson.loads(properties),
        "tags": tags,
    }


def _notify(
    tenant_id: str, changes: Iterable[ProfileChange], moved: set[str], known: Mapping[str, Sequence[Any]]
) -> None:
    who = [change for change in changes if known[change.participant_id][2] in moved]
    found = depths.of_runs(change.instance_id for change in who)
    by_depth: dict[int, list[ProfileChange]] = {}
    for change in who:
        by_depth.setdefault(found.get(change.instance_id, 0), []).append(change)
    for depth, several in sorted(by_depth.items()):
        paths = {path for change in several for path in change.fields if not path.startswith(CONSENT)}
        tags = any(change.add_tags or change.remove_tags for change in several)
        customers = sorted({known[change.participant_id][2] for change in several})
        notices.note(tenant_id, customers, {"fields": sorted(paths), "tags": tags, "depth": depth})


def _consents(changes: Iterable[ProfileChange], known: Mapping[str, Sequence[Any]]) -> list[Said]:
    found = []
    for change in changes:
        by_topic: dict[str, JSON] = {}
        for path, value in change.fields.items():
            if path.startswith(CONSENT):
                topic, _, part = path.removeprefix(CONSENT).rpartition(".")
                by_topic.setdefault(topic, {})[part] = value
        for topic, parts in by_topic.items():
            found.append(recording.said(known[change.participant_id][2], topic, parts, change.source, change.at))
    return found
