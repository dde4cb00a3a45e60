"""How to end an answer within a budget."""
