"""The bundled tasks made of those pictures, and their cards."""
