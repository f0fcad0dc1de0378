"""The bundled archive and the readable source it is built from."""
