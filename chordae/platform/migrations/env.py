"""What Alembic runs a migration in: the connection and the transaction that `Ledger` holds already."""

from alembic import context

from chordae.platform import ledger_learning, ledger_promotions, ledger_trials  # noqa: F401  their tables
from chordae.platform.ledger import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a column: such a table is copied
)
context.run_migrations()
