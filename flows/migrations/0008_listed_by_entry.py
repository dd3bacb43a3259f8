"""Lists of instances go by when they entered, so that a period is a range of each index; nodes have such indexes too."""

from django.db import migrations, models

STANDING = "status IN ('waiting', 'paused', 'compensating', 'failed')"

# Most instances stand at one node. Those that stand at several are found at any of them by the second index.
AT_NODES = f"""
DROP INDEX instance_at_node;
CREATE INDEX instance_at_node ON flow_instances (tenant_id, (current_nodes -> 0 ->> 'node_id'), status, entered_at, id)
  WHERE {STANDING};
CREATE INDEX instance_of_flow_at_node
    ON flow_instances (flow_id, (current_nodes -> 0 ->> 'node_id'), status, entered_at, id) WHERE {STANDING};
CREATE INDEX instance_at_nodes ON flow_instances USING gin (instance_places(tenant_id, current_nodes))
  WITH (fastupdate = off) WHERE {STANDING} AND current_nodes -> 1 IS NOT NULL;
"""
AS_BEFORE = f"""
DROP INDEX instance_at_nodes;
DROP INDEX instance_of_flow_at_node;
DROP INDEX instance_at_node;
CREATE INDEX instance_at_node ON flow_instances USING gin (instance_places(tenant_id, current_nodes))
  WITH (fastupdate = off) WHERE {STANDING};
"""


# A flow is searched by any part of its name: each two characters that stand side by side in it are in the index.
SEARCHED = """
CREATE FUNCTION flow_name_pairs(name text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT DISTINCT substr(upper(name), n, 2) FROM generate_series(1, length(upper(name)) - 1) AS n);
CREATE INDEX flow_by_name_pairs ON flows USING gin (flow_name_pairs(name));
"""
NOT_SEARCHED = """
DROP INDEX flow_by_name_pairs;
DROP FUNCTION flow_name_pairs(text);
"""


class Migration(migrations.Migration):
    dependencies = [("flows", "0007_statistics_without_documents")]

    operations = [
        migrations.RemoveIndex("flowinstance", "instance_by_status"),
        migrations.RemoveIndex("flowinstance", "instance_by_flow"),
        migrations.AddIndex(
            "flowinstance", models.Index(fields=["tenant", "status", "entered_at", "id"], name="instance_by_status")
        ),
        migrations.AddIndex(
            "flowinstance", models.Index(fields=["flow", "status", "entered_at", "id"], name="instance_by_flow")
        ),
        migrations.RunSQL(AT_NODES, AS_BEFORE),
        migrations.RemoveIndex("flow", "flow_list"),
        migrations.RemoveIndex("flow", "flow_list_by_status"),
        migrations.AddIndex("flow", models.Index(fields=["tenant", "id"], name="flow_list")),
        migrations.AddIndex("flow", models.Index(fields=["tenant", "status", "id"], name="flow_list_by_status")),
        migrations.RunSQL(SEARCHED, NOT_SEARCHED),
    ]
