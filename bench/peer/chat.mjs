// The same chat as a developer would write it on socket.io and pg, for comparison with the whole of Sohbet: visitors join, write and type,
// each message is one INSERT and is acked after it, and agents receive a copy. The messages of a visitor are stored one after the other,
// because they could otherwise be stored and sent in another order. DATABASE_URL names an empty database; AGENT_COOKIE is the Cookie
// header of an agent. Usage: see listen.mjs.
import pg from "pg";
import { listen } from "./listen.mjs";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
await pool.query(`
  CREATE TABLE threads (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    display_name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now());
  CREATE TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thread_id uuid NOT NULL REFERENCES threads,
    sender_type text NOT NULL,
    content_text text NOT NULL,
    client_id text,
    created_at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX ON messages (thread_id, id)`);

await listen((io) => {
  io.on("connection", (socket) => {
    const agent = socket.handshake.headers.cookie === process.env.AGENT_COOKIE;
    let last = Promise.resolve(); // the visitor's previous message

    socket.on("admin_join", (ack) => {
      if (!agent) return ack({ ok: false });
      socket.join("agents");
      ack({ ok: true });
    });
    socket.on("join", async ({ display_name }, ack) => {
      const { rows } = await pool.query("INSERT INTO threads (display_name) VALUES ($1) RETURNING id", [display_name]);
      socket.data.thread = rows[0].id;
      socket.join(rows[0].id);
      ack({ ok: true, thread_id: rows[0].id });
    });
    socket.on("message", ({ thread_id, text, client_id }, ack) => {
      if (!agent && thread_id !== socket.data.thread) return ack({ ok: false });
      last = last.then(async () => {
        try {
          const { rows } = await pool.query(
            `INSERT INTO messages (thread_id, sender_type, content_text, client_id) VALUES ($1, $2, $3, $4)
             RETURNING id, thread_id, sender_type, content_text, client_id, created_at`,
            [thread_id, agent ? "admin" : "visitor", text, client_id],
          );
          ack({ ok: true, message: rows[0] });
          socket.to(thread_id).to("agents").emit("message", rows[0]);
        } catch {
          ack({ ok: false });
        }
      });
    });
    socket.on("typing", ({ thread_id, typing }) => socket.to(thread_id).to("agents").emit("typing", { thread_id, typing }));
  });
});
