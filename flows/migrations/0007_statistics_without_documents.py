"""ANALYZE leaves out the documents: nothing is looked for in them, and to sort them cost more than the rest of it."""

from django.db import migrations

TABLES = {"flow_instances": ("context", "error", "compensation"), "execution_steps": ("input", "output", "error")}


class Migration(migrations.Migration):
    dependencies = [("flows", "0006_flow_entries_plural")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0",
            f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS DEFAULT",
        )
        for table, columns in TABLES.items()
        for column in columns
    ]
