"""The files of exports: listed, verified, fetched, read."""
