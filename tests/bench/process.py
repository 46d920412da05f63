"""Processes the benchmark starts: their trees, CPU time and memory, and their end.

CPU time comes from each process's CPU clock (clock_gettime on a foreign process, in
nanoseconds, threads that have ended included): the same counter as utime + stime in
/proc/PID/stat, which steps by 10 ms.
"""

import os
import pathlib
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def start(command, log, cwd=None, env=None):
    """Starts `command` as leader of a session of its own, so that nothing it forks gets lost."""
    with open(log, "ab") as sink:
        return subprocess.Popen([str(part) for part in command], cwd=cwd, env=env,
                                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
                                start_new_session=True)


def tree(roots):
    """The pids of `roots`, of all they begot, and of whatever stayed in their sessions."""
    parents, sessions = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := stat(int(entry))):
            parents[int(entry)], sessions[int(entry)] = int(fields[1]), int(fields[3])
    found = set(roots)
    found.update(pid for pid, session in sessions.items() if session in roots)
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return sorted(pid for pid in found if pid in parents)


def stat(pid):
    """The fields of /proc/PID/stat from `state` on; the name before it may hold anything."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_seconds(pids):
    """CPU time of `pids` so far, and of the children they have reaped meanwhile."""
    total = 0.0
    for pid in pids:
        fields = stat(pid)
        if fields is None or fields[0] == "Z":
            continue
        try:
            # clock_getcpuclockid(3), which Python lacks: ~pid << 3 | CPUCLOCK_SCHED.
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            continue
        total += (int(fields[13]) + int(fields[14])) / TICK
    return total


def pin(pids, cpus):
    """Keeps every thread of `pids` on `cpus`; what they start later inherits it."""
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                os.sched_setaffinity(int(task), cpus)
            except ProcessLookupError:
                continue


def memory(pids):
    """KB of proportional (PSS) and resident (RSS) memory of `pids` together."""
    sums = {"Pss": 0, "Rss": 0}
    for pid in pids:
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, value = line.partition(":")
            if name in sums:
                sums[name] += int(value.split()[0])
    return sums["Pss"], sums["Rss"]


def stop(roots):
    """Ends `roots` and their trees: asks, waits a bounded time, insists. Only pids of ours."""
    pids = [root.pid for root in roots]
    ours = tree(pids)
    for root in roots:
        if root.poll() is None:  # the leader alone: its workers are its own business
            root.terminate()
    deadline = time.monotonic() + 5
    for root in roots:
        try:
            root.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
    for pid in pids:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    # A child which left the group is known by its session, should its pid have been reused.
    for pid in set(ours) & set(tree(pids)) - set(pids):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    for root in roots:
        root.wait(5)
