"""CMR records that came with studies, and diagnoses of records."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("sent_studies", sa.Column("record", sa.JSON(), nullable=True))
    op.create_table(
        "diagnoses",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_diagnoses"),
    )


def downgrade() -> None:
    op.drop_table("diagnoses")
    op.drop_column("sent_studies", "record")
