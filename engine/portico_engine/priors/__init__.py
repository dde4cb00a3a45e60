"""What a caller believes about an answer, as weights on tokens."""
