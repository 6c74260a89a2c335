"""Commands about single exports and what there is: export, status, wait, cancel, jobs, tables."""
