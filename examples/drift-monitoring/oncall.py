"""Who is on call: takes signed webhooks, and lets nobody else in."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

KEY = base64.b64encode(b"example of a shared key!").decode()


class Receiver:
    """Keeps the notices whose signature is right, as https://www.standardwebhooks.com says it is made."""

    def __init__(self):
        self.taken, self.forged = [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                genuine = outer.signed(self.headers, body)
                if genuine:
                    outer.taken.append(json.loads(body))
                else:
                    outer.forged += 1
                self.send_response(200 if genuine else 401)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def signed(headers, body):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        ours = "v1," + base64.b64encode(hmac.new(base64.b64decode(KEY), signed, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
        return fresh and any(hmac.compare_digest(ours, sent) for sent in headers["webhook-signature"].split())
