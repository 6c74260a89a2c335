"""The OBS front: the exported files over the S3 protocol, signatures checked.

Read-only but for deleting. `address` tells which calls are meant for it, `signatures` who may
call, `objects` what lies in the folder, `listing` how it is listed, `front` who answers.
"""
