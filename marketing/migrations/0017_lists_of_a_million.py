"""Lists of messages are read status by status; a search of customers by their beginning reads its index alone."""

from django.db import migrations, models

PRESENT = "state <> 'erased'"
COLUMNS = {
    "customer_id_begins": ("(tenant_id, external_id varchar_pattern_ops)", "(id)", ""),
    "customer_email_begins": ("(tenant_id, upper(email::text) text_pattern_ops)", "(id, email)", "email <> ''"),
    "customer_name_begins": ("(tenant_id, upper(name::text) text_pattern_ops)", "(id, name)", "name <> ''"),
}


def _covering(name: str) -> str:
    columns, included, some = COLUMNS[name]
    condition = f"{some} AND {PRESENT}" if some else PRESENT
    return f"CREATE INDEX {name} ON customers {columns} INCLUDE {included} WHERE {condition}"


def _plain(name: str) -> str:
    columns, _, some = COLUMNS[name]
    return f"CREATE INDEX {name} ON customers {columns}" + (f" WHERE {some}" if some else "")


class Migration(migrations.Migration):
    dependencies = [("marketing", "0016_caps_asked_again")]

    operations = [
        migrations.RemoveIndex("delivery", "delivery_by_channel"),
        migrations.RemoveIndex("delivery", "delivery_by_flow"),
        migrations.AddIndex(
            "delivery", models.Index(fields=["tenant", "channel", "status", "id"], name="delivery_by_channel")
        ),
        migrations.AddIndex(
            "delivery", models.Index(fields=["tenant", "flow_id", "status", "id"], name="delivery_by_flow")
        ),
        *(
            migrations.RunSQL([f"DROP INDEX {name}", _covering(name)], [f"DROP INDEX {name}", _plain(name)])
            for name in COLUMNS
        ),
    ]
