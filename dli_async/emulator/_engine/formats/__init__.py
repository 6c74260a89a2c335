"""The formats of INSERT OVERWRITE DIRECTORY: their options, and files as Spark writes them."""
