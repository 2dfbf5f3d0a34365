"""Where labelled texts come from: one family a file, found by the catalogue."""
