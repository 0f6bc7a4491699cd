"""Runs a tape of statements on two databases by the system's SQLite and prints the first difference an app could see."""
import json
import sqlite3
import sys


def connect(path, settings):
    conn = sqlite3.connect(path, isolation_level=None)
    conn.text_factory = bytes
    for sql in settings:
        conn.execute(sql).fetchall()
    return conn


def seen(conn, sql):
    if sql.startswith("ALTER") and conn.in_transaction:
        conn.execute("ROLLBACK")
    try:
        outcome = [[repr(cell) for cell in row] for row in conn.execute(sql).fetchall()]
    except (sqlite3.Error, sqlite3.Warning) as e:
        outcome = [type(e).__name__, str(e), getattr(e, "sqlite_errorcode", None)]
    # 3.40 foresees that a number may be none only where it foresees another error, as it does with a trigger that calls a function.
    if outcome[2:] == [sqlite3.SQLITE_MISMATCH] and conn.in_transaction:
        conn.execute("ROLLBACK")
    if sql == "VACUUM" or outcome[:1] and isinstance(outcome[0], str):
        conn.execute("INSERT OR REPLACE INTO temp.scratch VALUES (7)")
    after = conn.execute("SELECT changes(), last_insert_rowid()").fetchall()
    return outcome, after, conn.in_transaction


def main():
    tracked, plain, tape = sys.argv[1:]
    with open(tape) as file:
        world = json.load(file)
    one, other = (connect(path, world["settings"]) for path in (tracked, plain))
    for number, sql in enumerate(world["tape"]):
        first, second = seen(one, sql), seen(other, sql)
        if first != second:
            print(f"statement {number}: {sql}\ntracked: {first}\nplain: {second}")
            break
    for conn in (one, other):
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        conn.close()


main()
