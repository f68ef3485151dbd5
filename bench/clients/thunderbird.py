"""One step of a Thunderbird that runs already, by its Marionette protocol.

Arguments: the profile's directory, a function of thunderbird.js, its arguments.
Prints what the function returns, a list as lines.
"""

import json
import os
import socket
import sys
import time

PATIENCE = 60  # seconds for anything


class Marionette:
    """Messages are JSON, each after its length and a colon."""

    def __init__(self, profile):
        self.socket = socket.create_connection(("127.0.0.1", self.port(profile)), PATIENCE)
        self.file = self.socket.makefile("rb")
        self.number = 0
        self.receive()  # its greeting
        self.call("WebDriver:NewSession", {})
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": PATIENCE * 1000})

    @staticmethod
    def port(profile):
        """The port it has chosen, which it writes down when it listens there."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                with open(os.path.join(profile, "MarionetteActivePort")) as file:
                    return int(file.read())
            except (FileNotFoundError, ValueError):
                time.sleep(0.1)
        sys.exit("thunderbird: does not listen")

    def receive(self):
        length = b""
        while (byte := self.file.read(1)) != b":":
            if not byte:
                raise EOFError
            length += byte
        return json.loads(self.file.read(int(length)))

    def call(self, name, parameters):
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        error, result = self.receive()[2:]
        if error:
            sys.exit(f"thunderbird: {name}: {error['message']}")
        return result

    def run(self, library, function, arguments):
        code = (
            f"{library}\n"
            "const [args, done] = arguments;\n"
            f"{function}(...args).then(value => done({{value}}), e => done({{error: String(e)}}));"
        )
        parameters = {"script": code, "args": [arguments], "sandbox": "system"}
        result = self.call("WebDriver:ExecuteAsyncScript", parameters)["value"]
        if "error" in result:
            sys.exit(f"thunderbird: {function}: {result['error']}")
        return result.get("value")


profile, function, *arguments = sys.argv[1:]
with open(os.path.join(os.path.dirname(__file__), "thunderbird.js")) as file:
    library = file.read()
try:
    value = Marionette(profile).run(library, function, arguments)
except EOFError:
    if function != "quit":
        sys.exit(f"thunderbird: {function}: it has ended")
    value = None
if isinstance(value, list):
    value = "\n".join(value)
if value is not None:
    print(value)
