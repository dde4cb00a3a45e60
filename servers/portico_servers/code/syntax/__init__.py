"""What one file says: definitions, references, snippets."""
