"""What papers set dataset by dataset, as data: a module a method, by the papers' names of datasets."""
