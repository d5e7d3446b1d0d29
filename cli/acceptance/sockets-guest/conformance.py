"""What the socket API answers in cases whose answer depends on no time: one line for each. Arguments: host, port of differential-server.ts, a closed port."""

import array
import errno
import fcntl
import os
import select
import socket
import struct
import sys
import termios
import threading

HOST, PORT, CLOSED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
SECONDS = 60
LARGE = 1 << 20
CASES = {}


def case(function):
    CASES[function.__name__.replace("_", " ")] = function
    return function


def dial(port=PORT):
    connection = socket.create_connection((HOST, port), timeout=SECONDS)
    # With a timeout Python waits where the call would not.
    connection.settimeout(None)
    return connection


def tell(kind, body=b"", length=None):
    return kind + struct.pack(">I", len(body) if length is None else length) + body


def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def waiting(connection, events):
    poll = select.poll()
    poll.register(connection, events)
    return [found for _, found in poll.poll(SECONDS * 1000)]


def exactly(connection, size):
    return connection.recv(size, socket.MSG_WAITALL)


def dial_nonblocking(port):
    connection = socket.socket()
    connection.setblocking(False)
    first = connection.connect_ex((socket.gethostbyname(HOST), port))
    waiting(connection, select.POLLOUT)
    return connection, errno.errorcode.get(first, first)


@case
def connect_to_a_closed_port():
    dial(CLOSED)


@case
def connect_without_waiting():
    connection, first = dial_nonblocking(PORT)
    with connection:
        return first, connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


@case
def connect_without_waiting_to_a_closed_port():
    connection, first = dial_nonblocking(CLOSED)
    with connection:
        errors = [connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for _ in range(2)]
        return first, [errno.errorcode.get(error, error) for error in errors]


@case
def peer_has_the_port_that_was_dialled():
    with dial() as connection:
        return connection.getpeername()[1] == PORT, connection.getpeername()[0] == socket.gethostbyname(HOST)


@case
def local_name_is_one_address_and_port():
    with dial() as connection:
        address, port = connection.getsockname()
        return port > 0, socket.inet_aton(address) != b"\0\0\0\0"


@case
def peer_name_of_a_socket_that_is_not_connected():
    with socket.socket() as connection:
        connection.getpeername()


@case
def read_of_a_socket_that_is_not_connected():
    with socket.socket() as connection:
        connection.recv(1)


@case
def write_to_a_socket_that_is_not_connected():
    with socket.socket() as connection:
        connection.send(b"x")


@case
def shutdown_of_a_socket_that_is_not_connected():
    with socket.socket() as connection:
        connection.shutdown(socket.SHUT_RDWR)


@case
def half_close_by_the_client():
    with dial() as connection:
        connection.sendall(tell(b"e", b"said before the end"))
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


@case
def half_close_by_the_server_leaves_the_other_way_open():
    with dial() as connection:
        connection.sendall(tell(b"f"))
        ended = connection.recv(1)
        return ended, connection.send(b"still"), connection.recv(1)


@case
def write_after_shutdown():
    with dial() as connection:
        connection.shutdown(socket.SHUT_WR)
        connection.send(b"x")


@case
def shutdown_of_both_ways_then_read():
    with dial() as connection:
        connection.shutdown(socket.SHUT_RDWR)
        return connection.recv(1)


@case
def reset_while_reading():
    with dial() as connection:
        connection.sendall(tell(b"r"))
        connection.recv(1)


@case
def reset_is_told_once_then_the_end():
    with dial() as connection:
        connection.sendall(tell(b"r"))
        try:
            connection.recv(1)
        except ConnectionResetError:
            return "reset", connection.recv(1)


@case
def write_after_a_reset():
    with dial() as connection:
        connection.sendall(tell(b"r"))
        try:
            connection.recv(1)
        except ConnectionResetError:
            connection.send(b"x")


@case
def poll_of_a_reset():
    with dial() as connection:
        connection.sendall(tell(b"r"))
        waiting(connection, 0)
        return waiting(connection, select.POLLIN | select.POLLOUT | select.POLLRDHUP)


@case
def poll_of_an_idle_connection():
    with dial() as connection:
        return waiting(connection, select.POLLIN | select.POLLOUT)


@case
def poll_of_the_servers_end():
    with dial() as connection:
        connection.sendall(tell(b"f"))
        return waiting(connection, select.POLLRDHUP)


@case
def epoll_on_the_edge_tells_each_arrival_once():
    with dial() as connection, select.epoll() as epoll:
        epoll.register(connection, select.EPOLLIN | select.EPOLLET)
        connection.sendall(tell(b"e", b"x"))
        first = [events for _, events in epoll.poll(SECONDS)]
        again = epoll.poll(0)
        return first, again, connection.recv(1)


@case
def read_without_waiting_of_nothing():
    with dial() as connection:
        connection.recv(1, socket.MSG_DONTWAIT)


@case
def peek_leaves_the_bytes():
    with dial() as connection:
        connection.sendall(tell(b"e", b"peek"))
        waiting(connection, select.POLLIN)
        return connection.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL), exactly(connection, 4)


@case
def all_that_was_asked_for_is_waited_for():
    with dial() as connection:
        for part in (b"one", b"two", b"three"):
            connection.sendall(tell(b"e", part))
        return exactly(connection, 11)


@case
def all_that_was_asked_for_ends_with_the_server():
    with dial() as connection:
        connection.sendall(tell(b"e", b"short") + tell(b"f"))
        return exactly(connection, 100)


@case
def bytes_that_wait_are_counted():
    with dial() as connection:
        connection.sendall(tell(b"e", b"12345"))
        connection.recv(5, socket.MSG_PEEK | socket.MSG_WAITALL)
        found = array.array("i", [0])
        fcntl.ioctl(connection, termios.FIONREAD, found)
        return found[0]


@case
def scattered_and_gathered():
    with dial() as connection:
        connection.sendmsg([tell(b"e", length=6), b"ab", b"cd", b"ef"])
        parts = [bytearray(2), bytearray(4)]
        connection.recvmsg_into(parts, 0, socket.MSG_WAITALL)
        return [bytes(part) for part in parts]


@case
def zero_bytes_are_written_and_read():
    with dial() as connection:
        return connection.send(b""), connection.recv(0)


@case
def a_large_echo_read_by_another_thread():
    body = bytes(range(256)) * (LARGE // 256)
    with dial() as connection:
        writer = threading.Thread(target=connection.sendall, args=(tell(b"e", body) + tell(b"f"),))
        writer.start()
        echoed = read_all(connection)
        writer.join()
        return len(echoed), echoed == body


@case
def sendfile_from_a_file():
    with dial() as connection, open(__file__, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        connection.sendall(tell(b"e", length=size))
        sent = 0
        while sent < size:
            sent += os.sendfile(connection.fileno(), file.fileno(), sent, size - sent)
        return exactly(connection, size) == file.read()


@case
def splice_to_a_pipe():
    with dial() as connection:
        connection.sendall(tell(b"e", b"spliced"))
        connection.recv(7, socket.MSG_PEEK | socket.MSG_WAITALL)
        reading, writing = os.pipe()
        moved = os.splice(connection.fileno(), writing, 7)
        found = os.read(reading, moved)
        os.close(reading)
        os.close(writing)
        return found


@case
def a_duplicate_keeps_the_connection():
    connection = dial()
    with connection.dup() as other:
        connection.close()
        other.sendall(tell(b"e", b"dup"))
        return exactly(other, 3)


@case
def a_child_uses_what_it_inherits():
    with dial() as connection:
        child = os.fork()
        if child == 0:
            connection.sendall(tell(b"e", b"child"))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        return status, exactly(connection, 5)


@case
def a_shutdown_counts_for_each_duplicate():
    with dial() as connection, connection.dup() as other:
        connection.shutdown(socket.SHUT_WR)
        other.send(b"x")


@case
def options_are_kept():
    with dial() as connection:
        found = []
        for level, option, value in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 7),
            (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
        ):
            connection.setsockopt(level, option, value)
            found.append(connection.getsockopt(level, option))
        return found


@case
def kind_of_a_socket():
    with dial() as connection:
        options = (socket.SO_TYPE, socket.SO_DOMAIN, socket.SO_PROTOCOL, socket.SO_ACCEPTCONN)
        return [connection.getsockopt(socket.SOL_SOCKET, option) for option in options]


@case
def two_at_one_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        socket.create_server(one.getsockname(), reuse_port=False)


@case
def bind_twice():
    with socket.create_server(("127.0.0.1", 0)) as one:
        one.bind(("127.0.0.1", 0))


@case
def bind_to_an_address_of_nobody_here():
    with socket.socket() as one:
        one.bind(("192.0.2.1", 0))


@case
def accept_on_a_socket_that_does_not_listen():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.accept()


@case
def accept_without_waiting_of_nobody():
    with socket.create_server(("127.0.0.1", 0)) as one:
        one.setblocking(False)
        one.accept()


@case
def a_server_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_connection(one.getsockname()) as here:
        there, peer = one.accept()
        with there:
            here.sendall(b"own")
            return there.recv(3), peer == here.getsockname()


@case
def linger_of_nothing_is_a_reset_on_its_own_loopback():
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_connection(one.getsockname()) as here:
        there, _ = one.accept()
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        here.recv(1)


@case
def connect_to_its_own_closed_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        address = one.getsockname()
    socket.create_connection(address, timeout=SECONDS)


@case
def fifty_connections_at_once():
    connections = [dial() for _ in range(50)]
    for number, connection in enumerate(connections):
        connection.sendall(tell(b"e", b"%02d" % number))
    right = [exactly(connection, 2) == b"%02d" % number for number, connection in enumerate(connections)]
    for connection in connections:
        connection.close()
    return all(right)


@case
def a_datagram_to_its_own_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
        one.bind(("127.0.0.1", 0))
        one.settimeout(SECONDS)
        two.sendto(b"datagram", one.getsockname())
        return one.recv(100)


@case
def a_datagram_longer_than_any():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.sendto(b"x" * 65508, ("127.0.0.1", 9))


@case
def a_datagram_without_an_address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.send(b"x")


@case
def a_kind_that_does_not_exist():
    socket.socket(socket.AF_INET, socket.SOCK_SEQPACKET)


for name, ask in CASES.items():
    try:
        outcome = repr(ask())
    except OSError as error:
        outcome = errno.errorcode.get(error.errno, repr(error))
    print(f"{name}: {outcome}", flush=True)
