"""How calls come in and answers go out: in process, by ASGI, and what faults do on the way."""
