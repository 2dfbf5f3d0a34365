"""From a finished run to the weights that ship: figures, model card, adoption."""
