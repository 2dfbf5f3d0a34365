"""Where labelled images come from: one family a file, found by the catalogue."""
