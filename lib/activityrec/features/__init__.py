"""Clean tables to feature tables: everything as of a snapshot, nothing later."""
