"""Decisions of the gate, and what clinicians said of studies."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "gate_decisions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("from_version", sa.String(20), nullable=False),
        sa.Column("to_version", sa.String(20), nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("by", sa.String(16), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("decided_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gate_decisions"),
        sa.CheckConstraint("decision in ('promote', 'hold', 'rollback')", name="ck_gate_decisions_decision"),
        sa.CheckConstraint("by in ('gate', 'person')", name="ck_gate_decisions_by"),
    )
    op.create_index("ix_gate_decisions_model", "gate_decisions", ["model"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("study", sa.String(64), nullable=False),
        sa.Column("category", sa.String(120), nullable=False),
        sa.Column("by", sa.String(120), nullable=False),
        sa.Column("given_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_study", "feedback", ["study"])


def downgrade() -> None:
    op.drop_table("feedback")
    op.drop_table("gate_decisions")
