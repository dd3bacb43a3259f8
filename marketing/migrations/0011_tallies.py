"""
The triggers that count.

A message counts on the day it was made, for the version that its run had then, so that shares of a day are never above
one. Whoever comes to a status has come to those before it: what was opened has been delivered and sent.
"""

import django.db.models.functions.datetime
from django.db import migrations, models

# How far along the way to a click a status is. `unknown`, `bounced` and `complained` are of messages that were handed
# over.
_RANK = """CASE {status} WHEN 'sent' THEN 1 WHEN 'unknown' THEN 1 WHEN 'bounced' THEN 1 WHEN 'complained' THEN 1
                  WHEN 'delivered' THEN 2 WHEN 'opened' THEN 3 WHEN 'clicked' THEN 4 ELSE 0 END"""

# One row for each thing that a statement changed the count of. A reason counts without what follows its colon.
_MESSAGES = f"""
    INSERT INTO tallies (tenant_id, flow_id, version, node_id, day, subject, kind, key, n)
    SELECT d.tenant_id, coalesce(d.flow_id, '00000000-0000-0000-0000-000000000000'),
           coalesce(CASE WHEN i.migrated_at > d.created_at THEN i.migrated_from_version ELSE v.number END, 0),
           d.node_id, (d.created_at AT TIME ZONE 'UTC')::date, d.channel, came.kind, came.key, count(*)
      FROM {{changed}} AS d
      LEFT JOIN flow_instances i ON i.id = d.instance_id
      LEFT JOIN flow_versions v ON v.id = i.version_id
     CROSS JOIN LATERAL (
        SELECT step.kind, '' AS key
          FROM (VALUES (0, 'queued'), (1, 'sent'), (2, 'delivered'), (3, 'opened'), (4, 'clicked')) AS step(rank, kind)
         WHERE step.rank > d.was AND step.rank <= {_RANK.format(status="d.status")}
         UNION ALL
        SELECT d.status, left(split_part(d.reason, ':', 1), 64)
         WHERE d.status IN ('bounced', 'complained', 'failed', 'unknown', 'skipped', 'cancelled')
      ) AS came
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_NEW = _MESSAGES.format(changed="(SELECT n.*, -1 AS was FROM new_rows n)")
_MOVED = _MESSAGES.format(
    changed=f"""(SELECT n.*, {_RANK.format(status="o.status")} AS was
                   FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE o.status <> n.status)"""
)

MESSAGES = f"""
    CREATE FUNCTION tally_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            {_NEW};
        ELSE
            {_MOVED};
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER tally_new AFTER INSERT ON deliveries
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tally_deliveries();
    CREATE TRIGGER tally_moved AFTER UPDATE ON deliveries
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION tally_deliveries();
"""
NO_MESSAGES = """
    DROP TRIGGER tally_new ON deliveries; DROP TRIGGER tally_moved ON deliveries; DROP FUNCTION tally_deliveries();
"""

# A conversion counts on the day it happened, and at the node whose message it is put down to.
_CONVERSIONS = """
    INSERT INTO tallies (tenant_id, flow_id, version, node_id, day, subject, kind, key, n)
    SELECT c.tenant_id, c.flow_id, c.version, coalesce(d.node_id, ''), (c.at AT TIME ZONE 'UTC')::date, c.name,
           came.kind, came.key, sum(came.n)
      FROM {changed} AS c
      LEFT JOIN deliveries d ON d.id = c.attributed_to
     CROSS JOIN LATERAL (
        SELECT 'converted' AS kind, c.attributed_by AS key, c.fresh AS n
         UNION ALL
        SELECT 'value', c.currency, c.value
         UNION ALL
        SELECT 'value', c.old_currency, - c.old_value
         UNION ALL
        SELECT 'variant', c.variant, CASE WHEN c.variant <> c.old_variant THEN 1 END
      ) AS came
     WHERE came.n <> 0
     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    HAVING sum(came.n) <> 0
"""
_REACHED = _CONVERSIONS.format(
    changed="""(SELECT n.*, 1 AS fresh, '' AS old_currency, NULL::numeric AS old_value, '' AS old_variant
                  FROM new_rows n)"""
)
_FILLED_IN = _CONVERSIONS.format(
    changed="""(SELECT n.*, 0 AS fresh, o.currency AS old_currency, o.value AS old_value, o.variant AS old_variant
                  FROM new_rows n JOIN old_rows o ON o.id = n.id)"""
)
CONVERSIONS = f"""
    CREATE FUNCTION tally_conversions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            {_REACHED};
        ELSE
            {_FILLED_IN};
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER tally_new AFTER INSERT ON conversions
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION tally_conversions();
    CREATE TRIGGER tally_filled_in AFTER UPDATE ON conversions
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION tally_conversions();
"""
NO_CONVERSIONS = """
    DROP TRIGGER tally_new ON conversions; DROP TRIGGER tally_filled_in ON conversions;
    DROP FUNCTION tally_conversions();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("marketing", "0010_conversions"),
    ]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("tenant_id", models.UUIDField()),
                ("flow_id", models.UUIDField()),
                ("version", models.PositiveIntegerField()),
                ("node_id", models.CharField(max_length=64)),
                ("day", models.DateField()),
                ("subject", models.CharField(max_length=255)),
                ("kind", models.CharField(max_length=16)),
                ("key", models.CharField(max_length=64)),
                ("n", models.DecimalField(decimal_places=4, max_digits=30)),
                ("is_total", models.BooleanField(db_default=False, default=False)),
                ("made_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "verbose_name_plural": "tallies",
                "db_table": "tallies",
                "ordering": ("day", "subject", "kind", "key"),
                "indexes": [
                    models.Index(fields=["tenant_id", "flow_id", "day"], name="tally_of_flow"),
                    models.Index(fields=["tenant_id", "day"], name="tally_of_tenant"),
                    models.Index(condition=models.Q(("is_total", False)), fields=["made_at"], name="tally_fetch_loose"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_total", True)),
                        fields=("tenant_id", "flow_id", "day", "version", "node_id", "subject", "kind", "key"),
                        name="tally_one_total",
                    )
                ],
            },
        ),
        migrations.RunSQL(MESSAGES, NO_MESSAGES),
        migrations.RunSQL(CONVERSIONS, NO_CONVERSIONS),
    ]
