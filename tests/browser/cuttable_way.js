// A way to the server's HTTP that can be cut, as a network can.

import { connect, createServer } from "node:net";

export async function cuttableWay(port) {
  const sockets = new Set();
  let cut = false;
  const way = createServer((near) => {
    if (cut) {
      near.destroy();
      return;
    }
    const far = connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  });
  await new Promise((done) => way.listen(0, "127.0.0.1", done));
  const drop = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: `http://localhost:${way.address().port}`,
    cut() {
      cut = true;
      drop();
    },
    mend() {
      cut = false;
    },
    close() {
      drop();
      return new Promise((done) => way.close(done));
    },
  };
}
