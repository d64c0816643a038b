"""What must outlive us: all SQL is in this folder, the states and their transitions in schema.sql.

Each function takes a connection inside a transaction (database.py) and plain values.
"""
