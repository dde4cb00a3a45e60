"""The structured question: a tool schema made from the live database, and the SQL made from a call. It runs nothing."""
