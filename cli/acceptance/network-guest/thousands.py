"""Thousands of connections at once through plain sockets, each used twice; some are sent to and never read, and one goes on. Arguments: the echo's port, how many."""

import resource
import select
import socket
import sys

ECHO, COUNT = int(sys.argv[1]), int(sys.argv[2])
STALLED = 50
AT_ONCE = 500
WAIT = 60


def wait(sockets, event):
    """Each of them, when it is ready."""
    waiting = {each.fileno(): each for each in sockets}
    with select.epoll() as ready:
        for descriptor in waiting:
            ready.register(descriptor, event)
        while waiting:
            for descriptor, _ in ready.poll(WAIT) or sys.exit(f"{len(waiting)} are not ready"):
                ready.unregister(descriptor)
                yield waiting.pop(descriptor)


def begin(address):
    connection = socket.socket()
    connection.setblocking(False)
    connection.connect_ex(address)
    return connection


def use(connections):
    """How many heard what they said."""
    said = {}
    for number, connection in enumerate(wait(connections, select.EPOLLOUT)):
        said[connection] = b"%08d" % number
        connection.send(said[connection])
    return sum(connection.recv(8) == said[connection] for connection in wait(connections, select.EPOLLIN))


resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
address = socket.getaddrinfo("web.test", ECHO, type=socket.SOCK_STREAM)[0][4]
connections, right = [], 0
while len(connections) < COUNT:
    some = [begin(address) for _ in range(min(AT_ONCE, COUNT - len(connections)))]
    right += use(some)
    connections += some
print("open", right, flush=True)
print("again", use(connections), flush=True)
for connection in connections[1 : STALLED + 1]:
    connection.send(bytes(128 << 10))
print("goes on", sum(use(connections[:1]) for _ in range(20)), flush=True)
for connection in connections:
    connection.close()
