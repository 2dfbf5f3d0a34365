"""Stands where Ray would be on a bare machine, so that a rehearsal fails as the real run would."""

raise ImportError("a GPU run needs no Ray")
