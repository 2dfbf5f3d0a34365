"""Figures that papers and authors' repositories report, as data: shown beside our results, never ranked with them."""
