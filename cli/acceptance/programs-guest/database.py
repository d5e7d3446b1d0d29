"""Writes one row per transaction to a database with a write-ahead log, and says after which number it is committed. Never ends by itself."""
import sqlite3
import sys

base = sqlite3.connect(sys.argv[1], isolation_level=None)
print("mode", base.execute("pragma journal_mode=wal").fetchone()[0], flush=True)
base.execute("pragma synchronous=full")
base.execute("pragma wal_autocheckpoint=20")
base.execute("create table if not exists rows (n integer primary key, text text)")
n = 0
while True:
    n += 1
    base.execute("begin")
    base.execute("insert into rows values (?, ?)", (n, "x" * 1000))
    base.execute("commit")
    print("committed", n, flush=True)
