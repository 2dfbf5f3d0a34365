"""The towers and how they are trained: corpus, losses, runs and their checkpoints."""
