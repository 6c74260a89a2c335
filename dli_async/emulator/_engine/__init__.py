"""What holds the tables and writes the files of exports, as Spark would."""
