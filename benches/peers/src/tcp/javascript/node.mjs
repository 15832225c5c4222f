// ws on Node, with bufferutil, as its documentation recommends for speed.
import { createRequire } from "node:module";
import { WebSocketServer } from "ws";

if (process.argv.includes("--version")) {
  const require = createRequire(import.meta.url);
  console.log(`Node ${process.versions.node}, ws ${require("ws/package.json").version}`);
  process.exit(0);
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 16 * 1024 * 1024, perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (message, binary) => socket.send(message, { binary }));
});
server.on("listening", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
