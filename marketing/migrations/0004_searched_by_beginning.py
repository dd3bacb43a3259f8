from django.db import migrations

# How a search by the beginning of a text asks (LIKE, whatever the collation): RunSQL, because Django's own expressions
# for operator classes need an app that other projects may not have installed.
INDEXES = {
    "customer_id_begins": "(tenant_id, external_id varchar_pattern_ops)",
    "customer_email_begins": "(tenant_id, upper(email::text) text_pattern_ops) WHERE email <> ''",
    "customer_name_begins": "(tenant_id, upper(name::text) text_pattern_ops) WHERE name <> ''",
}


class Migration(migrations.Migration):
    dependencies = [("marketing", "0003_segments_due")]

    operations = [
        migrations.RunSQL(f"CREATE INDEX {name} ON customers {columns}", f"DROP INDEX {name}")
        for name, columns in INDEXES.items()
    ]
