"""Method cards: what a method learns, costs, needs and may take part in, and how it stands to its original.

A wing says what is counted about its methods, as :class:`promptgrid.engine.cards.card.Cards`; the rest is
read and checked here.
"""
