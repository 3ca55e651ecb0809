"""Studies that came through the API, and the answers about them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "sent_studies",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("media", sa.JSON(), nullable=False),
        sa.Column("sent_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sent_studies"),
    )
    op.create_table(
        "answers",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("study", sa.String(32), nullable=False),
        sa.Column("question", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("answered_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_answers"),
        sa.ForeignKeyConstraint(["study"], ["sent_studies.id"], name="fk_answers_study"),
    )
    op.create_index("ix_answers_study", "answers", ["study"])
    op.create_table(
        "answer_media",
        sa.Column("answer", sa.String(32), nullable=False),
        sa.Column("media", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("answer", "media", name="pk_answer_media"),
        sa.ForeignKeyConstraint(["answer"], ["answers.id"], name="fk_answer_media_answer"),
    )
    op.create_index("ix_answer_media_media", "answer_media", ["media"])


def downgrade() -> None:
    op.drop_table("answer_media")
    op.drop_table("answers")
    op.drop_table("sent_studies")
