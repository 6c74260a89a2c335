"""What becomes of an export.

`job` is the handle that users hold, `submit` sees to it that an export becomes one job, and `watch`
waits for that job to end.
"""
