from django.db import migrations, models

COUNTED_UP = (
    "fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500,"
    " autovacuum_vacuum_cost_delay = 0"
)


class Migration(migrations.Migration):
    dependencies = [("engine", "0006_sagas_and_projections")]

    operations = [
        migrations.CreateModel(
            name="CohortStatistic",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("build", models.PositiveIntegerField()),
                ("tenant_id", models.UUIDField()),
                ("flow_id", models.UUIDField()),
                ("version", models.PositiveIntegerField()),
                ("day", models.DateField()),
                ("node_id", models.CharField(blank=True, default="", max_length=64)),
                ("kind", models.CharField(max_length=24)),
                ("key", models.CharField(blank=True, default="", max_length=255)),
                ("n", models.BigIntegerField()),
                ("goal", models.CharField(blank=True, default="", max_length=255)),
            ],
            options={
                "db_table": "cohort_statistics",
                "ordering": ("day", "version", "node_id", "kind", "key", "goal"),
            },
        ),
        migrations.CreateModel(
            name="FlowStatistic",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("build", models.PositiveIntegerField()),
                ("tenant_id", models.UUIDField()),
                ("flow_id", models.UUIDField()),
                ("version", models.PositiveIntegerField()),
                ("day", models.DateField()),
                ("node_id", models.CharField(blank=True, default="", max_length=64)),
                ("kind", models.CharField(max_length=24)),
                ("key", models.CharField(blank=True, default="", max_length=255)),
                ("n", models.BigIntegerField()),
            ],
            options={
                "db_table": "flow_statistics",
                "ordering": ("day", "version", "kind"),
            },
        ),
        migrations.CreateModel(
            name="NodeStatistic",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("build", models.PositiveIntegerField()),
                ("tenant_id", models.UUIDField()),
                ("flow_id", models.UUIDField()),
                ("version", models.PositiveIntegerField()),
                ("day", models.DateField()),
                ("node_id", models.CharField(blank=True, default="", max_length=64)),
                ("kind", models.CharField(max_length=24)),
                ("key", models.CharField(blank=True, default="", max_length=255)),
                ("n", models.BigIntegerField()),
            ],
            options={
                "db_table": "node_statistics",
                "ordering": ("day", "version", "node_id", "kind", "key"),
            },
        ),
        migrations.AddConstraint(
            model_name="cohortstatistic",
            constraint=models.UniqueConstraint(
                fields=("flow_id", "build", "day", "version", "node_id", "kind", "key", "goal"),
                name="cohort_statistic_counted_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="flowstatistic",
            constraint=models.UniqueConstraint(
                fields=("flow_id", "build", "day", "version", "node_id", "kind", "key"),
                name="flow_statistic_counted_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="nodestatistic",
            constraint=models.UniqueConstraint(
                fields=("flow_id", "build", "day", "version", "node_id", "kind", "key"),
                name="node_statistic_counted_once",
            ),
        ),
        # Rows are counted up again and again: none of their indexes changes, and there is room on their page.
        migrations.RunSQL(
            f"""
            ALTER TABLE flow_statistics SET ({COUNTED_UP});
            ALTER TABLE node_statistics SET ({COUNTED_UP});
            ALTER TABLE cohort_statistics SET ({COUNTED_UP});
            ALTER TABLE projection_checkpoints SET ({COUNTED_UP});
            """,
            migrations.RunSQL.noop,
        ),
    ]
