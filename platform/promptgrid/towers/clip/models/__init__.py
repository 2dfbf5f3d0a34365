"""Models of open_clip's kind, for every wing that looks through one.

Here: their configuration, weights and tokenizer in files, what these are by content, and
:class:`promptgrid.towers.clip.models.dual_encoder.DualEncoder`, which answers the contract with them. Not here: which
models a wing offers under which names; its own ``backbones`` say that.
"""
