"""Assembly, training, prediction, evaluation and checkpoints."""
