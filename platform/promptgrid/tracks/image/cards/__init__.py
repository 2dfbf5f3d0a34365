"""Method cards: what a method learns, costs, needs and may take part in, and how it stands to its original."""
