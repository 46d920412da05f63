"""bjoern has no process manager: fork, and let each process listen on its own SO_REUSEPORT socket.

usage: bjoern_serve.py MODULE PORT PROCESSES
"""

import importlib
import os
import sys

import bjoern

module, port, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, os.getcwd())
application = importlib.import_module(module).application

for _ in range(processes - 1):
    if os.fork() == 0:
        break
bjoern.run(application, "127.0.0.1", port, reuse_port=True)
