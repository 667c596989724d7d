"""Alembic's entry: always on a connection handed over by `cds.store.migrate`."""

from alembic import context

from cds.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
