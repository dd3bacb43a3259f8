"""The log refuses to be changed, and the hot tables are kept small."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION stored_events_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'stored_events is append-only: % is refused', TG_OP USING ERRCODE = 'check_violation', CONSTRAINT = 'event_append_only';
END $$;
CREATE TRIGGER event_append_only BEFORE UPDATE OR DELETE ON stored_events FOR EACH ROW EXECUTE FUNCTION stored_events_refuse();
CREATE TRIGGER event_append_only_truncate BEFORE TRUNCATE ON stored_events FOR EACH STATEMENT EXECUTE FUNCTION stored_events_refuse();
"""

DROP_APPEND_ONLY = """
DROP TRIGGER event_append_only ON stored_events;
DROP TRIGGER event_append_only_truncate ON stored_events;
DROP FUNCTION stored_events_refuse();
"""

HOT = "autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0"


class Migration(migrations.Migration):
    dependencies = [("engine", "0002_initial")]

    operations = [
        migrations.RunSQL(APPEND_ONLY, DROP_APPEND_ONLY),
        migrations.RunSQL(
            f"""
            ALTER TABLE stored_events SET (autovacuum_vacuum_insert_scale_factor = 0.05);
            ALTER TABLE activities SET (fillfactor = 60, {HOT});
            ALTER TABLE timers SET ({HOT});
            ALTER TABLE event_subscriptions SET ({HOT});
            ALTER TABLE inbound_events SET (fillfactor = 80, {HOT});
            ALTER TABLE batch_claims SET ({HOT});
            """,
            migrations.RunSQL.noop,
        ),
    ]
