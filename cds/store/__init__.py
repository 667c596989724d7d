"""What is kept: decisions, answers of users, tokens that were seen, sessions, acts on alerts,
and who looked at what.

SQLAlchemy Core on SQLite or PostgreSQL; nothing outside this package knows either.
"""

from cds.store.acts import Act, ActKind, Episode
from cds.store.answers import Answer
from cds.store.cipher import Cipher, CipherError, read_or_create_key
from cds.store.database import ConstraintError, Database, DatabaseError
from cds.store.feedback import FeedbackEntry
from cds.store.figures import Comment, Figures, RuleFigures, Week, Window
from cds.store.ledger import CardRow, LedgerEntry, StoredDecision
from cds.store.looks import Look, Way
from cds.store.sessions import Launch, Session
from cds.store.store import Store
from cds.store.tally import Count, Counted, Kind, Panel, PanelRule

__all__ = [
    "Act",
    "ActKind",
    "Answer",
    "CardRow",
    "Cipher",
    "CipherError",
    "Comment",
    "ConstraintError",
    "Count",
    "Counted",
    "Database",
    "DatabaseError",
    "Episode",
    "FeedbackEntry",
    "Figures",
    "Kind",
    "Launch",
    "LedgerEntry",
    "Look",
    "Panel",
    "PanelRule",
    "RuleFigures",
    "Session",
    "Store",
    "StoredDecision",
    "Way",
    "Week",
    "Window",
    "read_or_create_key",
]
