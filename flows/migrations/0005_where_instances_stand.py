"""An index of the nodes at which unfinished instances stand; one that is running stands nowhere for long."""

from django.db import migrations

CREATE = """
CREATE FUNCTION instance_places(tenant uuid, tokens jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT tenant || ':' || (token ->> 'node_id') FROM jsonb_array_elements(tokens) AS token);
CREATE INDEX instance_at_node ON flow_instances USING gin (instance_places(tenant_id, current_nodes))
  WITH (fastupdate = off) WHERE status IN ('waiting', 'paused', 'compensating', 'failed');
"""
DROP = """
DROP INDEX instance_at_node;
DROP FUNCTION instance_places(uuid, jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("flows", "0004_plan_of_a_roll_back")]

    operations = [migrations.RunSQL(CREATE, DROP)]
