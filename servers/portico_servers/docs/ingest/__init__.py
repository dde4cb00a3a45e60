"""From sources to pages and passages."""
