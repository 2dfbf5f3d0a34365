"""What happens in a worker's process: a pack is read, run under a watchdog, and every cell of it gets a record.

Not here: which pack runs next and where; the driver decides that. Nothing here knows Ray.
"""
