"""How images reach methods: read, preprocessed, augmented, encoded once and kept.

What is done with them, step by step, is the engine's. What a batch can hold of them is one file each in ``columns``.
"""
