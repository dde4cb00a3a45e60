"""Programs that run beside: git and ripgrep."""
