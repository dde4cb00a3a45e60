"""An inner request and its answer, whichever API asked."""
