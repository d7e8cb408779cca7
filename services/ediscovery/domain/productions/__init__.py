"""Productions: entries in, files out, in order and in bounded memory; nothing here reads or writes a disk."""
