"""What an ordinary program sees of the network: one JSON line for each question. Arguments: ports of web, echo and closed servers."""

import concurrent.futures
import hashlib
import json
import os
import socket
import ssl
import struct
import sys
import urllib.request

WEB, ECHO, CLOSED = (int(argument) for argument in sys.argv[1:4])


def connect(host, port):
    return socket.create_connection((host, port), timeout=30)


def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def get(url, context=None):
    with urllib.request.urlopen(url, timeout=60, context=context) as answer:
        return answer.read()


def half_close():
    with connect("web.test", ECHO) as connection:
        connection.sendall(b"said")
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection).decode()


def urgent():
    with connect("web.test", ECHO) as connection:
        connection.sendall(b"before")
        connection.send(b"!", socket.MSG_OOB)
        connection.sendall(b"after")
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection).decode()


def download():
    body = get(f"http://web.test:{WEB}/big")
    return [len(body), hashlib.sha256(body).hexdigest()]


def upload():
    body = os.urandom(4 << 20)
    request = urllib.request.Request(f"http://web.test:{WEB}/digest", data=body, method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode() == hashlib.sha256(body).hexdigest()


def one_of_many(number):
    connection = connect("web.test", ECHO)
    said = bytes([number % 256]) * 3000
    connection.sendall(said)
    heard = b""
    while len(heard) < len(said):
        heard += connection.recv(65536)
    return connection, heard == said


def parallel():
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        connections = list(pool.map(one_of_many, range(200)))
    for connection, _ in connections:
        connection.close()
    return sum(right for _, right in connections)


def stalled():
    """Twenty downloads nobody reads; another connection goes on."""
    held = []
    for _ in range(20):
        connection = connect("web.test", WEB)
        connection.sendall(b"GET /big HTTP/1.1\r\nhost: web.test\r\n\r\n")
        held.append(connection)
    answer = get(f"http://web.test:{WEB}/")
    for connection in held:
        connection.close()
    return answer.decode()


def own_server():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        accepted.sendall(b"mine")
        return client.recv(4).decode()


def own_server_elsewhere():
    """A server of ours on every address gets nothing that was meant for another host."""
    with socket.create_server(("0.0.0.0", 8099)):
        connect("web.test", 8099).close()


def unreachable_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(10)
        datagrams.connect(("192.0.2.1", 123))
        datagrams.send(b"time?")
        datagrams.recv(10)


def reset():
    """The far end resets: so does ours."""
    with connect("web.test", ECHO) as connection:
        connection.sendall(b"reset")
        return read_all(connection).decode()


def dns_packet(name, kind, edns=False, identity=0x1234):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    option = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0) if edns else b""
    return struct.pack("!HHHHHH", identity, 0x0100, 1, 0, 0, len(option) and 1) + labels + b"\0" + struct.pack("!HH", kind, 1) + option


def describe(answer):
    identity, flags, questions, answers, _, additional = struct.unpack("!HHHHHH", answer[:12])
    return {"id": identity, "rcode": flags & 15, "answers": answers, "additional": additional}


def ask_udp(name, kind, server="192.0.2.53", edns=False):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(10)
        datagrams.connect((server, 53))
        datagrams.send(dns_packet(name, kind, edns))
        return describe(datagrams.recv(4096))


def ask_tcp(*names):
    """All at once; answers come in any order (RFC 7766, 6.2.1.1) and are told apart by their identity: given back in the order of the questions."""
    with connect("127.0.0.1", 53) as connection:
        packets = [dns_packet(name, 1, identity=number) for number, name in enumerate(names)]
        connection.sendall(b"".join(struct.pack("!H", len(packet)) + packet for packet in packets))
        found = []
        stream = connection.makefile("rb")
        for _ in names:
            found.append(describe(stream.read(struct.unpack("!H", stream.read(2))[0])))
        return sorted(found, key=lambda answer: answer["id"])


def hostile_dns():
    """What no resolver sends: names in a circle, half packets, lengths nobody may have, 2,000 questions in one go. What is answered afterwards."""
    head = struct.pack("!HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0)
    packets = [head + name + struct.pack("!HH", 1, 1) for name in (b"\xc0\x0c", b"\xc0\x0e\xc0\x0c", b"\x01a\xc0\x0c", b"\x3fa")]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for packet in [*packets, b"", b"x", head, bytes(5000)]:
            datagrams.sendto(packet, ("192.0.2.53", 53))
        for number in range(2000):
            datagrams.sendto(dns_packet(f"name-{number}.other.test", 1), ("192.0.2.53", 53))
    closed = 0
    for said in (struct.pack("!H", 65535) + bytes(20000), struct.pack("!H", 0), struct.pack("!H", 1233)):
        with connect("127.0.0.1", 53) as connection:
            try:
                connection.sendall(said)
                closed += connection.recv(1) == b""
            except ConnectionError:
                closed += 1
    # A resolver asks again when nothing comes: the flood may have pushed its first question out.
    return [closed, socket.gethostbyname("web.test").startswith("198.18."), *ask_tcp("web.test")]


def tls(connect_to, server_name):
    context = ssl.create_default_context(cafile="/app/ca.pem")
    with context.wrap_socket(connect(connect_to, 8443), server_hostname=server_name) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        return read_all(connection).split(b"\r\n\r\n")[1].decode()


def plain_on_tls_port():
    with connect("tls.test", 8443) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: tls.test\r\n\r\n")
        return read_all(connection).decode()


def non_blocking():
    """A dial that takes its time does not block the program: EINPROGRESS, then the answer."""
    with socket.socket() as connection:
        connection.setblocking(False)
        first = connection.connect_ex((socket.gethostbyname("web.test"), ECHO))
        import select

        select.select([], [connection], [], 30)
        return [first == 115, connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]


QUESTIONS = {
    "http": lambda: get(f"http://web.test:{WEB}/").decode(),
    "denied port": lambda: connect("web.test", 81),
    "denied address": lambda: connect("192.0.2.1", 80),
    "denied name": lambda: connect("other.test", 80),
    "refused": lambda: connect("web.test", CLOSED),
    "ipv6": lambda: connect("2001:db8::1", 80),
    "udp": unreachable_udp,
    "raw": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "half-close": half_close,
    "urgent": urgent,
    "reset": reset,
    "non-blocking": non_blocking,
    "download": download,
    "upload": upload,
    "parallel": parallel,
    "stalled": stalled,
    "own server": own_server,
    "own server elsewhere": own_server_elsewhere,
    "dns A": lambda: ask_udp("web.test", 1),
    "dns A at another server": lambda: ask_udp("web.test", 1, "8.8.8.8"),
    "dns AAAA": lambda: ask_udp("web.test", 28, edns=True),
    "dns HTTPS": lambda: ask_udp("web.test", 65),
    "dns unknown": lambda: ask_udp("secret-in-a-label.other.test", 1),
    "dns tcp": lambda: ask_tcp("web.test", "other.test", "tls.test"),
    "dns localhost": lambda: socket.gethostbyname("localhost"),
    "hostile dns": hostile_dns,
    "reverse": lambda: socket.gethostbyaddr(socket.gethostbyname("web.test"))[0],
    "https": lambda: tls("tls.test", "tls.test"),
    "another name in the hello": lambda: tls("tls.test", "other.test"),
    "no TLS": plain_on_tls_port,
    "authorities": lambda: len(ssl.create_default_context().get_ca_certs()) > 100,
    "still there": lambda: get(f"http://web.test:{WEB}/").decode(),
}

for name, question in QUESTIONS.items():
    try:
        found = question()
        print(json.dumps({"name": name, "found": found if not isinstance(found, socket.socket) else "connected"}), flush=True)
    except OSError as error:
        print(json.dumps({"name": name, "error": type(error).__name__, "errno": error.errno}), flush=True)
