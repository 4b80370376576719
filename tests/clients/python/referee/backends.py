"""The compared implementations: each takes an operation and a request's body, and returns a reply or error as JSON."""

import http.client
import json
import os
import re
import subprocess

import redis

# The folder of dynalite's node_modules.
DYNALITE = os.environ.get("ITEMORY_DYNALITE")


class Reply:
    """A reply's body, or an error with its short type."""

    def __init__(self, body, failed):
        self.body = body
        self.error = body.get("__type", "").rpartition("#")[2] if failed else None

    @property
    def message(self):
        return self.body.get("message", self.body.get("Message", "")) if self.error else None

    def __repr__(self):
        return json.dumps(self.body, ensure_ascii=False)


class Itemory:
    name = "itemory"
    lacks = ()

    def __init__(self, server):
        self.client = redis.Redis(port=server.port, protocol=3)

    def call(self, operation, body):
        try:
            return Reply(json.loads(self.client.execute_command("DDB", operation, json.dumps(body))), False)
        except redis.ResponseError as error:
            text = str(error)
            assert text.startswith("DDB "), f"{operation} {json.dumps(body)}: {text}"
            return Reply(json.loads(text[4:]), True)

    def close(self):
        self.client.close()


HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Date": "20250101T000000Z",
    "Authorization": "AWS4-HMAC-SHA256 Credential=a/20250101/us-east-1/dynamodb/aws4_request, "
                     "SignedHeaders=host, Signature=b",
}


class Moto:
    """moto's server application, called without a socket."""

    name = "moto"
    # Members that it adds to replies, even if the request does not ask for them.
    without = ("ConsumedCapacity", "ItemCollectionMetrics")
    lacks = ()

    def __init__(self):
        from moto.moto_server.werkzeug_app import create_backend_app
        from werkzeug.test import Client

        self.client = Client(create_backend_app("dynamodb"))

    def call(self, operation, body):
        headers = {**HEADERS, "X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        try:
            reply = self.client.post("/", data=json.dumps(body), headers=headers)
        except Exception as error:
            # Unexpected requests make it fail in many ways.
            return Reply({"__type": "#InternalFailure", "message": type(error).__name__}, True)
        return Reply(json.loads(reply.data), reply.status_code != 200)

    def restart(self):
        return False

    def close(self):
        pass


class Dynalite:
    """dynalite in a process of its own, on a port that the system chose."""

    name = "dynalite"
    without = ()
    lacks = ("TransactGetItems", "TransactWriteItems", "UpdateTimeToLive")

    def __init__(self):
        self.start()

    def start(self):
        script = """
            const server = require('dynalite')({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 })
            let last
            server.on('request', (_, reply) => { last = reply })
            // Without this it would end with the first unexpected request.
            process.on('uncaughtException', () => { last.statusCode = 500; last.end() })
            server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port))
            process.stdin.on('end', () => process.exit()).resume()
        """
        self.process = subprocess.Popen(["node", "-e", script], cwd=DYNALITE, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(re.match(r"port (\d+)", self.process.stdout.readline())[1])
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(self, operation, body):
        self.connection.request("POST", "/", json.dumps(body).encode(),
                                {**HEADERS, "X-Amz-Target": f"DynamoDB_20120810.{operation}"})
        reply = self.connection.getresponse()
        text = reply.read()
        if reply.status >= 500 or not text.startswith(b"{"):
            return Reply({"__type": "#InternalFailure", "message": f"status {reply.status}"}, True)
        return Reply(json.loads(text), reply.status != 200)

    def restart(self):
        """After a request that made it fail its locks stay taken, so it is started again, empty."""
        self.close()
        self.start()
        return True

    def close(self):
        self.connection.close()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
