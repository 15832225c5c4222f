// Bun's topics, which are uWebSockets': a server as `server.rs` says, with the topics of `plan.rs`.
const [kind, each, connections] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const payload = new Uint8Array(1024).fill("x".charCodeAt(0));
let [joined, turn] = [0, 0];

function subscribe(socket) {
  const connection = joined++;
  const first = kind === "own" ? connection * each : 0;
  for (let number = first; number < first + each; number++) socket.subscribe(`t/${number}`);
}

function publish() {
  if (kind === "same") {
    server.publish(`t/${turn % each}`, payload);
  } else {
    for (let connection = 0; connection < connections; connection++) {
      server.publish(`t/${connection * each + (turn % each)}`, payload);
    }
  }
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("a WebSocket, please", { status: 426 });
  },
  websocket: {
    // By default it drops what is beyond 1 MiB.
    backpressureLimit: 64 * 1024 * 1024,
    idleTimeout: 960,
    perMessageDeflate: false,
    open: subscribe,
    message() {},
  },
});
const control = Bun.listen({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    data(_, turns) {
      for (const messages of turns) {
        for (let message = 0; message < messages; message++) publish();
        turn++;
      }
    },
    close: () => process.exit(0),
  },
});
console.log(server.port, control.port);
process.stdin.on("end", () => process.exit(0)).resume();
