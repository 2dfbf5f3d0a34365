"""What the engine gains over the loop a fork would run: `promptgrid bench`."""
