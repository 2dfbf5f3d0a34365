"""What is said of a cell beside its scores: why it failed, who computed it with what, and what is kept to use it again.

Not here: scores and training curves, which the runner and the trainer make.
"""
