"""How the bundled graph towers are trained: edge prediction, and contrast with texts. ``python -m`` runs it."""
