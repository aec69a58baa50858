"""Bodies compressed by LZ4 on PostgreSQL where the server can: a part of the processor time of its own way.

Only a choice of storage: what is there stays readable, and a server without LZ4 goes on as before.
"""

from django.db import migrations

LZ4 = """
DO $$ BEGIN
    ALTER TABLE queueapp_body ALTER COLUMN content SET COMPRESSION lz4;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'bodies stay with pglz';
END $$
"""


def compress(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(LZ4)


class Migration(migrations.Migration):
    dependencies = [("queueapp", "0003_limits")]

    operations = [migrations.RunPython(compress, migrations.RunPython.noop)]
