"""Our rows beside figures that papers report and results of other tools: which may be compared, and do they agree."""
