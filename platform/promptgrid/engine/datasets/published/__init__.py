"""Published datasets as their authors lay them out on disk: lists, folders, archives, and what is checked."""
