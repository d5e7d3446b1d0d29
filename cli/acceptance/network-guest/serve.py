"""A server of the agent's own, until it is asked for /stop."""

import http.server
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"guest says " + self.path.encode())
        if self.path == "/stop":
            threading.Thread(target=server.shutdown).start()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler)
print("serving", flush=True)
server.serve_forever()
server.server_close()
