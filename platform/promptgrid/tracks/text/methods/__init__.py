"""Methods of the text wing, one a file; those for any tower of tokens lie in :mod:`promptgrid.towers.methods`."""
