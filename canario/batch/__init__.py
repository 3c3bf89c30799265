"""Many rows or one, answered by a stored version in this very process: tables in, tables out; no server is needed."""
