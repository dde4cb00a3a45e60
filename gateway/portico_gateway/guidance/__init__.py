"""What helps a small model choose a tool and its arguments."""
