"""Goal:   the front thread is woken by those who ask it, each time.
Method: requests that the front thread answers, one after the other, while nothing else happens. It
        looks about by itself 20 times a second only, so that unwoken it would take 10 seconds; the
        bound is half of that and some fifty times what is needed.
"""

import http.client
import sys
import time

import _daemon

REQUESTS = 200
SECONDS_MAX = 5

with _daemon.Daemon(_daemon.CATALOG, "--lane-bytes", "8M", "--dedup-ids", "1000") as daemon:
    daemon.start()
    connection = http.client.HTTPConnection("127.0.0.1", daemon.http, timeout=30)
    began = time.monotonic()
    for _ in range(REQUESTS):
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            daemon.fail(f"/readyz answers {answer.status}")
    seconds = time.monotonic() - began
    connection.close()
    daemon.stop()
print(f"{REQUESTS} requests in {seconds:.2f} s")
sys.exit(0 if seconds < SECONDS_MAX else 1)
