"""Protocols that look at labels and splits alone, one file each; a wing lists the folder in ``below``.

Not here: a protocol that looks at what its examples are. That one stands in the ``protocols`` folder of its wing.
"""
