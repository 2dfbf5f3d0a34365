"""What methods on CLIP-like dual encoders are written with: their backbone, task, classifier and black box.

Nothing here is known to the engine: a wing whose backbone is no dual encoder has words of its own.
"""
