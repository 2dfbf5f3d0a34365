"""How the bundled text tasks are made from packages: readers by source, fixed splits, compact files with cards."""
