"""Stands where pytest-xdist starts `python -u -c ...` for a process that tests run in: asks a nursery for it.

    python -S -E forked_python.py ADDRESS -u -c ...

It imports next to nothing, has the streams given to it, and ends as that process does.
"""

import json
import os
import socket
import sys

address, *_, option, code = sys.argv[1:]
ours, theirs = socket.socketpair()
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nursery:
    nursery.connect(f"\0{address}")
    request = json.dumps([[option, code], os.getcwd(), dict(os.environ)]).encode()  # noqa: PTH109  pathlib takes as long to import as all else
    socket.send_fds(nursery, [request], [theirs.fileno(), 0, 1, 2])
theirs.close()
nothing = os.open(os.devnull, os.O_RDWR)
for stream in (0, 1):  # so that an end of theirs is one
    os.dup2(nothing, stream)
pid, *exit_code = ours.makefile().read().split()
sys.exit(int(exit_code[0]) % 256 if exit_code else 1)
