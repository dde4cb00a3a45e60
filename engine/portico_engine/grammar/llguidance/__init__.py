"""Everything that only llguidance needs."""
