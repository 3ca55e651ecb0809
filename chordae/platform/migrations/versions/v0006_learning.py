"""Prospective CMR records, and the rounds of learning that used them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
STAGES = "stage in ('collected', 'trained', 'evaluated', 'registered', 'shadowed', 'decided', 'ended')"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "records",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("site", sa.String(40), nullable=False),
        sa.Column("patient", sa.String(64), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("came_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
    )
    for column in ("site", "patient", "came_at"):
        op.create_index(f"ix_records_{column}", "records", [column])
    op.create_table(
        "learning_rounds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("begun_at", moment, nullable=False),
        sa.Column("changed_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_learning_rounds"),
        sa.CheckConstraint(STAGES, name="ck_learning_rounds_stage"),
    )
    op.create_index("ix_learning_rounds_model", "learning_rounds", ["model"])
    still = sa.text("stage != 'ended'")
    op.create_index(
        "uq_learning_rounds_open", "learning_rounds", ["model"], unique=True, sqlite_where=still, postgresql_where=still
    )
    op.create_table(
        "learned_records",
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("record", sa.String(64), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("model", "record", name="pk_learned_records"),
        sa.ForeignKeyConstraint(["record"], ["records.id"], name="fk_learned_records_record"),
        sa.ForeignKeyConstraint(["round"], ["learning_rounds.id"], name="fk_learned_records_round"),
    )
    op.create_index("ix_learned_records_round", "learned_records", ["round"])


def downgrade() -> None:
    op.drop_table("learned_records")
    op.drop_table("learning_rounds")
    op.drop_table("records")
