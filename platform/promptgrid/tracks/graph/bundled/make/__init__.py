"""How the bundled graphs are made from packages: readers by source, MiniLM features, compact files with cards."""
