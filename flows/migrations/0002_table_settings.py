"""What the tables need of PostgreSQL beyond their columns: room for updates, early vacuum, and graphs that stay as published."""

from django.db import migrations

# A published graph is what running instances stand on; only the database can promise that nobody rewrites it.
KEEP_PUBLISHED_GRAPHS = """
CREATE FUNCTION flow_version_keep_graph() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status <> 'draft' AND NEW.graph IS DISTINCT FROM OLD.graph THEN
        RAISE EXCEPTION 'the graph of a published version cannot change' USING ERRCODE = 'check_violation', CONSTRAINT = 'version_graph_immutable';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER version_graph_immutable BEFORE UPDATE ON flow_versions FOR EACH ROW EXECUTE FUNCTION flow_version_keep_graph();
"""

DROP_KEEP_PUBLISHED_GRAPHS = """
DROP TRIGGER version_graph_immutable ON flow_versions;
DROP FUNCTION flow_version_keep_graph();
"""


class Migration(migrations.Migration):
    dependencies = [("flows", "0001_initial")]

    operations = [
        migrations.RunSQL(KEEP_PUBLISHED_GRAPHS, DROP_KEEP_PUBLISHED_GRAPHS),
        migrations.RunSQL(
            """
            ALTER TABLE flow_instances SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.01,
                autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
            ALTER TABLE execution_steps SET (fillfactor = 90, autovacuum_vacuum_insert_scale_factor = 0.05);
            """,
            migrations.RunSQL.noop,
        ),
    ]
