"""How it gets there: one reliable JSON exchange, and the endpoints made of it.

`exchange` knows slot, clock, login and repeats; `throttle` the budget; `transport` the sockets;
`answers` what came back; `api` the paths of DLI.
"""
