"""The frozen graph towers: those that ship, folders of your own, checkpoints of the public molecule layout."""
