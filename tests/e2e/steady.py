"""Goal:   one quiet peer is served for ever: the front thread is woken each time that somebody asks
        it, and what a frame came in is used again.
Method: requests that the front thread answers, one after the other, while nothing else happens. It
        looks about by itself 20 times a second only, so that unwoken it would take 10 seconds; the
        bound is half of that and some fifty times what is needed. Then pings one by one, more of
        them than the daemon has receive buffers.
"""

import http.client
import sys
import time

import _daemon

REQUESTS = 200
SECONDS_MAX = 5
PINGS = 600

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
    peer = _daemon.Peer(daemon.port, _daemon.hello(daemon.token()))
    peer.socket.settimeout(5)
    said = {peer.says()}
    for number in range(PINGS):
        peer.send(_daemon.frame(_daemon.PING, b"%d" % number))
        said.add(peer.says())
    if said != {"welcome 0", "pong"}:
        daemon.fail(f"pings are answered with {said}")
    peer.close()
    daemon.stop()
print(f"{REQUESTS} requests in {seconds:.2f} s")
sys.exit(0 if seconds < SECONDS_MAX else 1)
