"""The towers of CLIP-like dual encoders as functions of embeddings, and what of a step they need not repeat.

How a model is read from its files stands in ``models``. Not here: which models there are. A wing names its own.

**Text towers.** A context that classes share is encoded once (:class:`SharedPrefix`), with deep prompts too where they
overwrite nothing but the prefix. The plain route, every prompt whole and cut behind its EOT, is that of methods that
change what text blocks do (:attr:`Edits.inside`: weights, biases, norms, or what attention reads beside the sequence;
``clip_lora``, ``dpl``, and ``bitfit`` and ``ln_tuning`` in both towers): the fast one works out once what frozen blocks
make of frozen tokens, and where blocks learn, that changes at each step. A text tower that is not causal (SigLIP's) has
no such prefix, and what stands behind EOT counts: learned prompts pass it whole (:class:`WholeTextTower`), and its
blocks are not offered, so that methods inside them are refused when the grid is planned, with the reason.
"""
