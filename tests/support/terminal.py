"""Runs a command on a terminal of its own: what comes here is typed there, what it writes goes out.

    terminal.py COLUMNS LINES COMMAND ARGUMENT...
"""
import fcntl
import os
import pty
import select
import struct
import sys
import termios

columns, lines = int(sys.argv[1]), int(sys.argv[2])
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm-256color"
    size = struct.pack("HHHH", lines, columns, 0, 0)
    fcntl.ioctl(0, termios.TIOCSWINSZ, size)
    os.execv(sys.argv[3], sys.argv[3:])

sources = [terminal, 0]
while True:
    ready, _, _ = select.select(sources, [], [], 60)
    if not ready:
        os.kill(child, 9)
    if 0 in ready:
        typed = os.read(0, 4096)
        if typed:
            os.write(terminal, typed)
        else:
            sources.remove(0)
    if terminal in ready:
        try:
            written = os.read(terminal, 65536)
        except OSError:
            break
        if not written:
            break
        os.write(1, written)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
