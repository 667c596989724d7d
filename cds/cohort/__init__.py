"""Many patients at once: what the advice would be for everyone in an export.

Each patient goes through the same decision as a hook call. An export is indexed (`export`), its
patients are worked off in parts (`work`) by one or several processes (`dispatch`), and come back
as rows (`row`) that are written as a table and added up (`table`), or as differences between two
rulebooks (`changes`).
"""
