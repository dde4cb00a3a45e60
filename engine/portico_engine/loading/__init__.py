"""From a model on disk to an engine."""
