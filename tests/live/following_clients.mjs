// Follows new objects with clients of others, on one server after the other:
// node following_clients.mjs catalogItems|designs URL...
// Prints a line once all have begun, and one with the names that each has received once all have seen "The end".
import { ApolloClient, InMemoryCache } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { gql } from "@apollo/client";
import { Client, subscriptionExchange } from "@urql/core";
import { createClient as socketClient } from "graphql-ws";
import { createClient as streamClient } from "graphql-sse";
import WebSocket from "ws";
import { resuming } from "./resuming.mjs";

const [subject, ...urls] = process.argv.slice(2);
const OBJECT = { catalogItems: "item", designs: "design" }[subject];
const QUERY = `subscription ($after: String) {
  ${subject}Changed(after: $after) { kind resumeToken object: ${OBJECT} { name } }
}`;
const RETRIES = { retryAttempts: 1000, shouldRetry: () => true, retryWait: pause, retry: pause };

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
  const source = new Client({
    url: urls[0],
    exchanges: [subscriptionExchange({ forwardSubscription })],
    preferGetMethod: false,
  }).subscription(QUERY, {});
  return (next, failed) => source.subscribe(({ data, error }) => (error ? failed(error) : next(data)));
}

function apollo(client) {
  const source = new ApolloClient({ link: new GraphQLWsLink(client), cache: new InMemoryCache() }).subscribe({
    query: gql(QUERY),
    fetchPolicy: "no-cache",
  });
  return (next, failed) =>
    source.subscribe({ next: ({ data, error }) => (error ? failed(error) : next(data)), error: failed });
}

function plain(client) {
  return (next, failed) =>
    client.subscribe(
      { query: QUERY },
      {
        next: ({ data, errors }) => (errors ? failed(errors) : next(data)),
        error: failed,
        complete: () => failed("completed"),
      },
    );
}

const CLIENTS = {
  "graphql-ws": () => plain(sockets()),
  "graphql-sse": () => plain(streams()),
  Apollo: () => apollo(sockets()),
  "urql over WebSocket": () => urql(sockets()),
  "urql over events": () => urql(streams()),
};

/** The names of all objects that come. `started` is called with the first event. */
function follow(name, started) {
  const names = [];
  return new Promise((resolve, reject) => {
    const failed = (error) => reject(new Error(`${name}: ${error?.message ?? JSON.stringify(error)}`));
    CLIENTS[name]()((data) => {
      const { kind, object } = data[`${subject}Changed`];
      if (kind === "STARTED") return started(name);
      names.push(object?.name ?? kind);
      if (names.at(-1) === "The end") resolve(names);
    }, failed);
  });
}

const names = Object.keys(CLIENTS);
const begun = [];
const started = (name) => begun.push(name) === names.length && console.log(JSON.stringify(begun));
const received = await Promise.all(names.map((name) => follow(name, started)));
console.log(JSON.stringify(Object.fromEntries(names.map((name, index) => [name, received[index]]))));
process.exit(0);
