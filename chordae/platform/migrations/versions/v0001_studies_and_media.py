"""Studies and their media."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INDEXED = ("site", "source", "state", "claim", "patient", "study", "media")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "media",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("modality", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("companion", sa.String(64)),
        sa.Column("first_seen", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_media"),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("site", sa.String(40), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("first_seen", moment, nullable=False),
        sa.Column("claim", sa.String(64)),
        sa.Column("claimed_at", moment),
        sa.Column("lease_until", moment),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("finished_at", moment),
        sa.Column("timings", sa.JSON(), nullable=False),
        sa.Column("modality", sa.String(16)),
        sa.Column("patient", sa.String(64)),
        sa.Column("study", sa.String(64)),
        sa.Column("media", sa.String(64)),
        sa.Column("same_as", sa.String(64)),
        sa.Column("reason", sa.String(64)),
        sa.Column("stage", sa.String(64)),
        sa.Column("problem", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sa.ForeignKeyConstraint(["media"], ["media.id"], name="fk_studies_media"),
        sa.ForeignKeyConstraint(["same_as"], ["studies.id"], name="fk_studies_same_as"),
        sa.CheckConstraint("state in ('waiting', 'claimed', 'done', 'refused')", name=op.f("ck_studies_state")),
    )
    for column in INDEXED:
        op.create_index(f"ix_studies_{column}", "studies", [column])


def downgrade() -> None:
    op.drop_table("studies")
    op.drop_table("media")
