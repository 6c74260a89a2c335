"""Jobs: their life by time, and how lists and single calls show them."""
