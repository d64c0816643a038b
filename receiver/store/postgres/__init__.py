"""The same store in PostgreSQL, for any number of receivers: the extra ``postgres``.

The SQL of receiver/store/ runs here as it stands (dialect.py, functions of schema.sql); every transaction of
every receiver comes after the other, as with SQLite (database.py); one receiver at a time works (lease.py).
"""
