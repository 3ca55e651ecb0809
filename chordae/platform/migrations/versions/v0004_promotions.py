"""Promotions of model versions: what was meant, before it is done."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("from_version", sa.String(20), nullable=True),
        sa.Column("to_version", sa.String(20), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("begun_at", moment, nullable=False),
        sa.Column("done_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
        sa.CheckConstraint("kind in ('promote', 'rollback', 'candidate')", name="ck_promotions_kind"),
        sa.CheckConstraint("state in ('begun', 'done')", name="ck_promotions_state"),
    )
    op.create_index("ix_promotions_model", "promotions", ["model"])
    begun = sa.text("state = 'begun'")
    op.create_index(
        "uq_promotions_begun", "promotions", ["model"], unique=True, sqlite_where=begun, postgresql_where=begun
    )


def downgrade() -> None:
    op.drop_table("promotions")
