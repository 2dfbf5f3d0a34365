"""Everything that talks to Ray for a grid: addresses, tokens, sessions, health, jobs, and packs as trials of Ray Tune.

Not here: the search that Tune suggests for (``cluster.search``); what a worker does with a pack (``cluster.workers``).
"""
