"""pion, the WebRTC library of Go: two peer connections meet only through our relay."""

import os
import shutil
import subprocess
import unittest

from server import ROOT, Server

USER, PASSWORD = "alice", "correct horse"
PACKAGES = "/usr/share/gocode"
FOLDER = os.path.join(ROOT, "build/pion")
BUILD_SECONDS, CALL_SECONDS = 600, 60


@unittest.skipUnless(shutil.which("go") and os.path.isdir(PACKAGES + "/src/github.com/pion/webrtc"),
                     "needs golang-go and golang-github-pion-webrtc.v3-dev")
class Pion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Versions in import paths are understood only beside a go.mod below GOPATH/src.
        source = os.path.join(FOLDER, "src/pion-call")
        os.makedirs(source, exist_ok=True)
        shutil.copy(os.path.join(ROOT, "tests/interop/pion/main.go"), source)
        with open(os.path.join(source, "go.mod"), "w", encoding="utf-8") as file:
            file.write("module pion-call\n")
        environment = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "-p=2",
                       "GOPATH": f"{FOLDER}:{PACKAGES}", "GOCACHE": FOLDER + "/cache"}
        cls.binary = os.path.join(FOLDER, "pion-call")
        subprocess.run(["go", "build", "-o", cls.binary, "pion-call"], cwd=source, check=True,
                       env=environment, timeout=BUILD_SECONDS)

    def test_a_data_channel_over_udp_and_tcp(self):
        options = ("--user", f"{USER}:{PASSWORD}", "--relay-ip", "127.0.0.1")
        with Server(*options) as server:
            for transport in ("udp", "tcp"):
                with self.subTest(transport):
                    url = f"turn:127.0.0.1:{server.port}?transport={transport}"
                    call = subprocess.run([self.binary, url, USER, PASSWORD], timeout=CALL_SECONDS,
                                          capture_output=True, text=True, check=False)
                    self.assertEqual(call.stdout, "every message came back\n", call.stderr)


if __name__ == "__main__":
    unittest.main()
