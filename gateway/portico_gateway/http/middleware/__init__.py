"""What every HTTP request passes first."""
