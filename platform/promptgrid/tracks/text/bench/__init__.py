"""What the engine gains over the loop that public code of the field runs: `promptgrid bench --track text`."""
