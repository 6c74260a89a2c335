"""The files that an export left on OBS: listed, verified, fetched and read.

`store` speaks S3 (signed by `signing`, read by `answers`); `parts` names what lies in a folder;
`contents` decodes and counts; `verify`, `fetch` and `arrow` do the work, `files` is their face.
"""
