"""How the masked language model that ships was made: pinned sources, their text, the training, its figures."""
