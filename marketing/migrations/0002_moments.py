from django.db import migrations

# The moment that a JSON text writes in ISO 8601, in UTC where it names no zone; null for anything else. The same as
# engine.expressions.as_moment, and it never raises.
CREATE = r"""
CREATE FUNCTION kalcifer_moment(value jsonb) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    m text[];
    t text[] := '{}';
    z text[] := '{}';
    days int;
    away interval := interval '0';
BEGIN
    IF jsonb_typeof(value) <> 'string' THEN RETURN NULL; END IF;
    m := regexp_match(value #>> '{}', '^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:.([0-9:.,]+)(Z|[+-][0-9:.]+)?)?$');
    IF m IS NULL OR m[1]::int = 0 OR m[2]::int NOT BETWEEN 1 AND 12 THEN RETURN NULL; END IF;
    days := CASE WHEN m[2]::int IN (4, 6, 9, 11) THEN 30
                 WHEN m[2]::int <> 2 THEN 31
                 WHEN m[1]::int % 4 = 0 AND (m[1]::int % 100 <> 0 OR m[1]::int % 400 = 0) THEN 29
                 ELSE 28 END;
    IF m[3]::int NOT BETWEEN 1 AND days THEN RETURN NULL; END IF;
    IF m[4] IS NOT NULL THEN
        t := coalesce(regexp_match(m[4], '^([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?)?$'),
                      regexp_match(m[4], '^([0-9]{2})([0-9]{2})(?:([0-9]{2})(?:[.,]([0-9]+))?)?$'));
        IF t IS NULL OR t[1]::int > 23 OR t[2]::int > 59 OR t[3]::int > 59 THEN RETURN NULL; END IF;
    END IF;
    IF m[5] IS NOT NULL AND m[5] <> 'Z' THEN
        z := coalesce(regexp_match(m[5], '^([+-])([0-9]{2})(?::([0-9]{2})(?::([0-9]{2}))?)?$'),
                      regexp_match(m[5], '^([+-])([0-9]{2})([0-9]{2})([0-9]{2})?$'));
        IF z IS NULL OR z[2]::int > 23 OR z[3]::int > 59 OR z[4]::int > 59 THEN RETURN NULL; END IF;
        away := make_interval(hours => z[2]::int, mins => coalesce(z[3]::int, 0), secs => coalesce(z[4]::int, 0))
                * CASE z[1] WHEN '-' THEN -1 ELSE 1 END;
    END IF;
    RETURN (make_timestamp(m[1]::int, m[2]::int, m[3]::int, coalesce(t[1]::int, 0), coalesce(t[2]::int, 0),
                           coalesce(t[3]::int, 0)) AT TIME ZONE 'UTC')
           + rpad(left(coalesce(t[4], '0'), 6), 6, '0')::int * interval '1 microsecond' - away;
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("marketing", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION kalcifer_moment(jsonb)")]
