"""A server process of a peer's: started below its directory, stopped by its process id."""

import os
import signal
import socket
import subprocess
import time

import machine


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port, seconds=20):
    """A TCP connection without Nagle; waits until the server listens."""
    end = time.monotonic() + seconds
    while True:
        try:
            link = socket.create_connection(("127.0.0.1", port), timeout=120)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Server:
    def __init__(self, command, folder, stop=signal.SIGTERM, **more):
        self.log = open(folder / "server.log", "wb")
        self.stop = stop
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, **more)

    def usage(self):
        return machine.usage(self.process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(self.stop)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def measured(server, clock, before, **more):
    """The result of a timed part against a server."""
    after = server.usage()
    return clock.result(server_cpu_seconds=round(after["cpu_seconds"] - before["cpu_seconds"], 3),
                        server_resident_bytes=after["resident_bytes"], **more)


def unprivileged():
    """Arguments for Popen: the user nobody where we are root, for servers that refuse root."""
    if os.geteuid() != 0:
        return {}
    import pwd
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
