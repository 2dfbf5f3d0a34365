"""How bytes reach the disk and come back: atomic commits, encodings, manifests, memory-mapped arrays, quarantine.

Not here: what a store holds, and what records mean.
"""
