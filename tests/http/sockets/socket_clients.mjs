// What graphql-ws and graphql-sse make of this API: node socket_clients.mjs URL TOKEN
import { createClient as socketClient } from "graphql-ws";
import { createClient as streamClient } from "graphql-sse";
import WebSocket from "ws";

const [url, authorization] = process.argv.slice(2);
const RENAME = `mutation ($name: String!) { updateProfile(input: {firstName: $name}) { user { firstName } } }`;

/** Everything that comes of an operation: its results, and how it ends. */
function outcome(client, payload) {
  return new Promise((resolve) => {
    const results = [];
    client.subscribe(payload, {
      next: (result) => results.push(result),
      error: (error) => resolve({ results, error: error.errors ?? error.map?.((each) => each) ?? error.code ?? String(error) }),
      complete: () => resolve({ results, error: null }),
    });
  });
}

async function conduct(client, name) {
  return {
    viewer: await outcome(client, { query: "{ viewer { firstName } }" }),
    mutation: await outcome(client, { query: RENAME, variables: { name } }),
    together: await Promise.all(
      Array.from({ length: 20 }, (_, each) => outcome(client, { query: `{ a${each}: __typename }` })),
    ),
    invalid: await outcome(client, { query: "{ nothing }" }),
    after: await outcome(client, { query: "{ viewer { firstName } }" }),
  };
}

const options = { webSocketImpl: WebSocket, retryAttempts: 0 };
const address = url.replace("http", "ws");
const socket = socketClient({ ...options, url: address, connectionParams: { authorization } });
const refused = socketClient({ ...options, url: address, connectionParams: { authorization: "Bearer none" } });
const stream = streamClient({ url, headers: { authorization }, retryAttempts: 0 });
const report = {
  "graphql-ws": await conduct(socket, "Ada"),
  refused: await outcome(refused, { query: "{ __typename }" }),
  "graphql-sse": await conduct(stream, "Bea"),
};
await socket.dispose();
await refused.dispose();
stream.dispose();
console.log(JSON.stringify(report));
