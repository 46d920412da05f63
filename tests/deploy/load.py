"""Requests, each on a connection of its own, until a file appears; counts the lost ones."""

import os
import sys
import threading
import time
import urllib.request

URL, STOP = sys.argv[1:3]
THREADS = 2
LONGEST = 300
good, lost = [0] * THREADS, []


def client(number):
    end = time.monotonic() + LONGEST
    while not os.path.exists(STOP) and time.monotonic() < end:
        try:
            with urllib.request.urlopen(URL, timeout=30) as response:
                response.read()
            good[number] += 1
        except OSError as error:
            lost.append(repr(error))
        time.sleep(0.005)


threads = [threading.Thread(target=client, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{sum(good)} requests answered, {len(lost)} lost", *lost[:3])
sys.exit(bool(lost) or sum(good) < 10)
