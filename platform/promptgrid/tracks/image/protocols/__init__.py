"""What is scored of image towers alone. Protocols of every wing lie in ``engine/protocols``."""
