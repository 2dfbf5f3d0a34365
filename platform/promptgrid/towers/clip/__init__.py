"""The towers of CLIP-like dual encoders as functions of embeddings, and what of a step they need not repeat.

Not here: where a model comes from. A wing loads it and hands its modules over.
"""
