"""What is kept: the durable record of exports, from which another process goes on.

`journal` is what others use, `entries` what they get, `records` what a submit tells it, and
`sqlite` how it lies on the disk.
"""
