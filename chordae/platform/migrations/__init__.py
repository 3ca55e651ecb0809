"""The ledger's schema, step by step (Alembic). `Ledger` applies what is missing when it opens a database.

A change of `chordae.platform.ledger`'s tables is a new module in `versions`, with the next number; a test says when the
two disagree.
"""
