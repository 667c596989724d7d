"""What is kept: decisions, answers of users, and tokens that were seen.

SQLAlchemy Core on SQLite or PostgreSQL; nothing outside this package knows either.
"""

from cds.store.answers import Answer
from cds.store.cipher import Cipher, CipherError, read_or_create_key
from cds.store.database import Database, DatabaseError
from cds.store.feedback import FeedbackEntry
from cds.store.ledger import CardRow, LedgerEntry, StoredDecision
from cds.store.store import Store

__all__ = [
    "Answer",
    "CardRow",
    "Cipher",
    "CipherError",
    "Database",
    "DatabaseError",
    "FeedbackEntry",
    "LedgerEntry",
    "Store",
    "StoredDecision",
    "read_or_create_key",
]
