// Follows new items and designs with clients of others, on one server after the other:
// node following_clients.mjs URL...
// Prints a line with what each client has got, by subject: once all have begun, and once all have seen "The end". Then it
// waits for the error that ends those who follow designs. They begin anew, read the list, and go on to another "The end":
// a line for each of these.
import { ApolloClient, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { gql } from "@apollo/client";
import { Client, subscriptionExchange } from "@urql/core";
import { createClient as socketClient } from "graphql-ws";
import { createClient as streamClient } from "graphql-sse";
import WebSocket from "ws";
import { resuming } from "./resuming.mjs";

globalThis.WebSocket ??= WebSocket; // Apollo's link looks there whether an error is that of a socket

const urls = process.argv.slice(2);
const OBJECTS = { catalogItems: "item", designs: "design" };
const LIST = `query ($after: String) {
  designs(first: 100, after: $after, orderBy: { field: CREATED_AT }) { nodes { name } pageInfo { hasNextPage endCursor } }
}`;
const RETRIES = { retryAttempts: 1000, shouldRetry: () => true, retryWait: pause, retry: pause };

function query(subject) {
  return `subscription ($after: String) {
    ${subject}Changed(after: $after) { kind resumeToken object: ${OBJECTS[subject]} { name } }
  }`;
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

/** The next address with each attempt. */
function rotating(scheme) {
  let attempts = 0;
  return () => urls[attempts++ % urls.length].replace("http", scheme);
}

function sockets() {
  return resuming(socketClient({ ...RETRIES, url: rotating("ws"), webSocketImpl: WebSocket }));
}

function streams() {
  return resuming(streamClient({ ...RETRIES, url: rotating("http") }));
}

/** urql over another client, as its documentation has it. */
function urql(client) {
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: client.subscribe({ query, variables }, sink) }),
  });
  const own = new Client({
    url: urls[0],
    exchanges: [subscriptionExchange({ forwardSubscription })],
    preferGetMethod: false,
  });
  return (query, next, failed) => {
    const following = own.subscription(query, {}).subscribe(({ data, error }) => {
      if (!error) return next(data);
      following.unsubscribe(); // otherwise urql hands the same one out again, which has nothing more to say
      failed(error.graphQLErrors, error);
    });
  };
}

function apollo(client) {
  const own = new ApolloClient({ link: new GraphQLWsLink(client), cache: new InMemoryCache() });
  return (query, next, failed) => {
    const source = own.subscribe({ query: gql(query), fetchPolicy: "no-cache" });
    source.subscribe(({ data, error }) => (error ? failed(error.errors, error) : next(data)));
  };
}

function plain(client) {
  return (query, next, failed) => {
    const complete = () => failed([], "completed");
    client.subscribe({ query }, { next: ({ data, errors }) => (errors ? failed(errors) : next(data)), error: failed, complete });
  };
}

const CLIENTS = {
  "graphql-ws": plain(sockets()),
  "graphql-sse": plain(streams()),
  Apollo: apollo(sockets()),
  "urql over WebSocket": urql(sockets()),
  "urql over events": urql(streams()),
};

/** What a client has got of a subject: the names of all objects that came, and the code of the error that ended it. */
class Followed {
  names = [];
  begun = false;
  code = null;
  #waiting = [];

  constructor(client, subject) {
    const next = (data) => {
      const { kind, object } = data[`${subject}Changed`];
      if (kind === "STARTED") this.begun = true;
      else this.names.push(object?.name ?? kind);
      this.#tell();
    };
    const failed = (errors, reason) => {
      this.code ??= errors?.[0]?.extensions?.code ?? String(reason ?? errors);
      this.#tell();
    };
    CLIENTS[client](query(subject), next, failed);
  }

  /** Resolves with what `wanted` says, once that is something. */
  until(wanted) {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        const said = wanted(this);
        if (said) resolve(said);
        return said;
      });
      this.#tell();
    });
  }

  #tell() {
    this.#waiting = this.#waiting.filter((isTold) => !isTold());
  }
}

/** Prints what all of them have to say, by subject and client. */
async function print(followed, wanted) {
  const said = {};
  for (const [subject, each] of Object.entries(followed)) {
    const clients = Object.entries(each).map(async ([name, one]) => [name, await one.until(wanted)]);
    said[subject] = Object.fromEntries(await Promise.all(clients));
  }
  console.log(JSON.stringify(said));
}

function followAll(...subjects) {
  const all = (subject) => Object.fromEntries(Object.keys(CLIENTS).map((name) => [name, new Followed(name, subject)]));
  return Object.fromEntries(subjects.map((subject) => [subject, all(subject)]));
}

/** The names of all designs, the oldest first. */
async function listed() {
  const headers = { "content-type": "application/json" };
  const names = [];
  for (let after = null, more = true; more; ) {
    const body = JSON.stringify({ query: LIST, variables: { after } });
    const { data } = await (await fetch(urls.at(-1), { method: "POST", headers, body })).json();
    names.push(...data.designs.nodes.map(({ name }) => name));
    ({ endCursor: after, hasNextPage: more } = data.designs.pageInfo);
  }
  return names;
}

const isOver = ({ names, code }) => (code && `ended by ${code}`) || (names.at(-1) === "The end" && names);
const followed = followAll("catalogItems", "designs");
await print(followed, ({ begun, code }) => begun || code);
await print(followed, isOver);
await print({ designs: followed.designs }, ({ code }) => code);

const again = followAll("designs");
const read = ({ begun, code }) => (begun ? listed() : code);
const found = Object.entries(again.designs).map(async ([name, one]) => [name, await one.until(read)]);
console.log(JSON.stringify(Object.fromEntries(await Promise.all(found))));
await print(again, isOver);
process.exit(0);
