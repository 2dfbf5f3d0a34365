"""The command line: asks for what the floors below do, and prints it for people or as JSON."""
