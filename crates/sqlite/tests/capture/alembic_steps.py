"""Migrates a database with Alembic's operations, both in place and by its batch mode (create, copy, drop, rename)."""
import sys

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

path, step = sys.argv[1], int(sys.argv[2])


def make(op):
    op.create_table("author", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)), sa.Column("mail", sa.String(50)))
    op.create_table("book", sa.Column("id", sa.Integer, primary_key=True), sa.Column("title", sa.String(50)), sa.Column("author_id", sa.Integer, sa.ForeignKey("author.id")))


def batch(table, change):
    def run(op):
        with op.batch_alter_table(table) as inner:
            change(inner)

    return run


STEPS = [
    make,
    lambda op: op.add_column("author", sa.Column("born", sa.Integer)),
    lambda op: op.add_column("book", sa.Column("pages", sa.Integer, server_default="7")),
    batch("author", lambda b: b.alter_column("mail", new_column_name="email")),
    batch("author", lambda b: b.create_unique_constraint("one_mail", ["email"])),
    lambda op: op.create_index("one_title", "book", ["title", "author_id"], unique=True),
    lambda op: op.drop_index("one_title", "book"),
    batch("author", lambda b: b.drop_constraint("one_mail", type_="unique")),
    lambda op: op.rename_table("author", "writer"),
    batch("writer", lambda b: b.drop_column("born")),
]
with sa.create_engine(f"sqlite:///{path}").begin() as connection:
    STEPS[step](Operations(MigrationContext.configure(connection)))
