"""Plots as SVG text: curves, ranks, heat maps, scatter plots, marks inside tables; equal data give equal bytes.

Not here: the numbers behind them (``leaderboard.analysis``), and the heat maps of a study of transfer.
"""
