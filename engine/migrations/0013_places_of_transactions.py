"""The place of a transaction in the log: its number, and what is added where the log comes from another server."""

from django.db import migrations

CREATE = """
CREATE FUNCTION log_place(xid8) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN $1::text::bigint + 0;
"""


class Migration(migrations.Migration):
    dependencies = [("engine", "0012_keys_without_patterns")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION log_place(xid8)")]
