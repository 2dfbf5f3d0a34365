"""The commands of ``promptgrid``, one family a file.

Not here: the program that collects them (``cli.main``), and what they share: exit codes and printed tables.
"""
