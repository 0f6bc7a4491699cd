"""Migrates a database with Django: migrations of one app, step by step up to the number given."""
import sys

import django
from django.conf import settings

path, step = sys.argv[1], int(sys.argv[2])
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": path}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()
from django.db import connection, migrations, models  # noqa: E402
from django.db.migrations.state import ProjectState  # noqa: E402

STEPS = [
    [
        migrations.CreateModel(
            "Author",
            [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=50)), ("mail", models.CharField(max_length=50))],
        ),
        migrations.CreateModel(
            "Book",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=50)),
                ("author", models.ForeignKey("shop.Author", models.CASCADE)),
            ],
        ),
    ],
    [migrations.AddField("Author", "born", models.IntegerField(null=True))],
    [migrations.AddField("Book", "pages", models.IntegerField(default=7))],
    [migrations.RenameField("Author", "mail", "email")],
    [migrations.AlterField("Author", "email", models.CharField(max_length=50, unique=True))],
    [migrations.AddConstraint("Book", models.UniqueConstraint(fields=["title", "author"], name="one_title"))],
    [migrations.RemoveConstraint("Book", "one_title")],
    [migrations.AlterField("Author", "email", models.CharField(max_length=60))],
    [migrations.RenameModel("Author", "Writer")],
    [migrations.RemoveField("Writer", "born"), migrations.RemoveField("Book", "pages")],
]
state = ProjectState()
for number, operations in enumerate(STEPS):
    before = state.clone()
    migration = migrations.Migration(f"m{number}", "shop")
    migration.operations = operations
    if number == step:
        with connection.schema_editor(atomic=True) as editor:
            migration.apply(before, editor)
    state = migration.mutate_state(state)
