"""The library room: SQLite history, picture files and the input store beside it, metadata in files. Torch-free."""
