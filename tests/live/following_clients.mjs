// Follows new items with clients of others, on one server after the other: node following_clients.mjs LAST URL...
import { createClient as socketClient } from "graphql-ws";
import { createClient as streamClient } from "graphql-sse";
import WebSocket from "ws";

const [last, ...urls] = process.argv.slice(2);
const QUERY = `subscription ($after: String) {
  catalogItemsChanged(after: $after) { kind resumeToken item { price } }
}`;
const RETRIES = { retryAttempts: 1000, shouldRetry: () => true, retryWait: pause, retry: pause };

function pause() {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

/** The next address with each attempt. */
function rotating(scheme) {
  let attempts = 0;
  return () => urls[attempts++ % urls.length].replace("http", scheme);
}

/** The prices of all items that come, up to the last one. Whoever connects again goes on after the newest token. */
function follow(name, client) {
  const prices = [];
  const variables = {};
  return new Promise((resolve, reject) => {
    const end = client.subscribe({ query: QUERY, variables }, {
      next: ({ data, errors }) => {
        if (errors) return reject(new Error(JSON.stringify(errors)));
        const { kind, item, resumeToken } = data.catalogItemsChanged;
        variables.after = resumeToken;
        if (kind === "STARTED") return console.log(JSON.stringify({ started: name }));
        prices.push(item.price);
        if (item.price === Number(last)) {
          end();
          resolve(prices);
        }
      },
      error: (error) => reject(new Error(JSON.stringify(error))),
      complete: () => {},
    });
  });
}

const socket = socketClient({ ...RETRIES, url: rotating("ws"), webSocketImpl: WebSocket });
const stream = streamClient({ ...RETRIES, url: rotating("http") });
const [bySocket, byStream] = await Promise.all([follow("graphql-ws", socket), follow("graphql-sse", stream)]);
console.log(JSON.stringify({ "graphql-ws": bySocket, "graphql-sse": byStream }));
process.exit(0);
