"""What the planner has to know of how names and e-mail addresses begin; an index of a part of the rows does not tell it."""

from django.db import migrations

CREATE = """
CREATE STATISTICS customer_email_begins_statistics ON (upper(email)) FROM customers;
CREATE STATISTICS customer_name_begins_statistics ON (upper(name)) FROM customers;
"""
DROP = """
DROP STATISTICS customer_email_begins_statistics;
DROP STATISTICS customer_name_begins_statistics;
"""


class Migration(migrations.Migration):
    dependencies = [("marketing", "0012_keys_without_patterns")]

    operations = [migrations.RunSQL(CREATE, DROP)]
