"""Candidates that answer beside the champion, and what both said."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(120), nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("begun_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trials"),
        sa.CheckConstraint("state in ('begun', 'serving', 'ended')", name="ck_trials_state"),
        sa.CheckConstraint("share >= 0 and share <= 1", name="ck_trials_share"),
    )
    op.create_index("ix_trials_model", "trials", ["model"])
    still = sa.text("state != 'ended'")
    op.create_index("uq_trials_open", "trials", ["model"], unique=True, sqlite_where=still, postgresql_where=still)
    op.create_table(
        "trial_answers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("shown", sa.String(16), nullable=False),
        sa.Column("champion", sa.JSON(), nullable=True),
        sa.Column("candidate", sa.JSON(), nullable=True),
        sa.Column("champion_s", sa.Float(), nullable=False),
        sa.Column("candidate_s", sa.Float(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trial_answers"),
        sa.CheckConstraint("shown in ('champion', 'candidate')", name="ck_trial_answers_shown"),
        sa.ForeignKeyConstraint(["trial"], ["trials.id"], name="fk_trial_answers_trial"),
    )
    op.create_index("ix_trial_answers_trial", "trial_answers", ["trial"])
    op.create_index("ix_trial_answers_request", "trial_answers", ["request"])


def downgrade() -> None:
    op.drop_table("trial_answers")
    op.drop_table("trials")
