"""What datasets of every wing are read with, whatever their examples are: files, content digests, joined datasets."""
