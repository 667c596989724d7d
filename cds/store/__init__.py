"""What is kept: decisions, answers of users, tokens that were seen, sessions, acts on alerts.

SQLAlchemy Core on SQLite or PostgreSQL; nothing outside this package knows either.
"""

from cds.store.acts import Act, ActKind, Episode
from cds.store.answers import Answer
from cds.store.cipher import Cipher, CipherError, read_or_create_key
from cds.store.database import Database, DatabaseError
from cds.store.feedback import FeedbackEntry
from cds.store.ledger import CardRow, LedgerEntry, StoredDecision
from cds.store.sessions import Launch, Session
from cds.store.store import Store

__all__ = [
    "Act",
    "ActKind",
    "Answer",
    "CardRow",
    "Cipher",
    "CipherError",
    "Database",
    "DatabaseError",
    "Episode",
    "FeedbackEntry",
    "Launch",
    "LedgerEntry",
    "Session",
    "Store",
    "StoredDecision",
    "read_or_create_key",
]
