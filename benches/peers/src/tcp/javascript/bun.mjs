// Bun's server of WebSockets, which is uWebSockets: it gathers what is sent while it reads.
if (process.argv.includes("--version")) {
  console.log(`Bun ${Bun.version}`);
  process.exit(0);
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
    maxPayloadLength: 16 * 1024 * 1024,
    perMessageDeflate: false,
    message(socket, message) {
      socket.send(message);
    },
  },
});
console.log(server.port);
process.stdin.on("end", () => process.exit(0)).resume();
