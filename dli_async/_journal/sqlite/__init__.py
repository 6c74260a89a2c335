"""The journal in a file: its schema, the statements that change it, and the thread that writes."""
