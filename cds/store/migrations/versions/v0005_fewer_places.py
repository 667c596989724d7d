"""Tallies are found by kind and day alone.

A second index by item had a place of its own for each rule, so that every decision wrote a dozen
pages more, to find one rule's rows little faster than among those of its kind.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("tally_by_item", table_name="tally")


def downgrade() -> None:
    op.create_index("tally_by_item", "tally", ["item", "kind", "day"])
