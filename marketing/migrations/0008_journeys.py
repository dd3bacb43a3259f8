import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0009_redaction"),
        ("flows", "0004_plan_of_a_roll_back"),
        ("marketing", "0007_caps"),
        ("tenants", "0003_default_tenant"),
    ]

    operations = [
        migrations.RemoveField(model_name="journey", name="schedule"),
        migrations.AddField(
            model_name="journey",
            name="schedule",
            field=models.OneToOneField(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="engine.flowschedule",
            ),
        ),
        migrations.AddField("journey", "include_existing", models.BooleanField(blank=True, null=True)),
        migrations.AddField("journey", "launch_at", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("journey", "launch_error", models.JSONField(blank=True, editable=False, null=True)),
        migrations.AddIndex("journey", models.Index(fields=["tenant", "id"], name="journey_list")),
        migrations.AddIndex(
            "journey", django.contrib.postgres.indexes.GinIndex(fields=["tags"], name="journey_by_tag")
        ),
        migrations.AddIndex(
            "journey",
            models.Index(
                condition=models.Q(("launch_at__isnull", False)), fields=["launch_at"], name="journey_fetch_launches"
            ),
        ),
        migrations.AddConstraint(
            "journey",
            models.CheckConstraint(
                condition=models.Q(("launch_at__isnull", True), ("status", "draft"), _connector="OR"),
                name="journey_launches_from_draft",
            ),
        ),
        migrations.CreateModel(
            name="Intake",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="engine.job",
                    ),
                ),
                ("entry_node", models.CharField(max_length=64)),
                ("context", models.JSONField(default=dict)),
                ("at", models.DateTimeField()),
                ("after", models.UUIDField()),
                ("per_minute", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "flow",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="flows.flow"),
                ),
                (
                    "journey",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="intakes",
                        to="marketing.journey",
                    ),
                ),
                (
                    "segment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="marketing.segment",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={"db_table": "journey_intakes", "ordering": ("-job_id",)},
        ),
    ]
