"""The log lets a person be forgotten: `data` alone may be replaced, by a transaction that says so."""

from django.db import migrations

REDACTABLE = """
CREATE OR REPLACE FUNCTION stored_events_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF current_setting('kalcifer.redacting', true) = 'on' AND to_jsonb(OLD) - 'data' = to_jsonb(NEW) - 'data' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'stored_events is append-only: % is refused', TG_OP USING ERRCODE = 'check_violation', CONSTRAINT = 'event_append_only';
END $$;
"""

APPEND_ONLY = """
CREATE OR REPLACE FUNCTION stored_events_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'stored_events is append-only: % is refused', TG_OP USING ERRCODE = 'check_violation', CONSTRAINT = 'event_append_only';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("engine", "0008_wakes_and_unrouted_events")]

    operations = [migrations.RunSQL(REDACTABLE, APPEND_ONLY)]
