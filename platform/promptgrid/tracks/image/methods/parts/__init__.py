"""What several methods build with: checks of settings, initial values, prompt sentences, templates, papers' tables."""
