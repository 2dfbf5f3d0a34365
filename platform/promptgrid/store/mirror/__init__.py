"""Runs in MLflow: records as params, metrics and tags, written after the commit by one writer.

Not here: records themselves. The mirror is never the truth, and no cell fails because of it.
"""
