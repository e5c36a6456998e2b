// Whether a request of GraphiQL's is a subscription.
function isSubscription({ operationName }, document) {
  const operations = (document?.definitions ?? []).filter((each) => each.kind === "OperationDefinition");
  const asked = operationName ? operations.filter((each) => each.name?.value === operationName) : operations;
  return asked.length === 1 && asked[0].operation === "subscription";
}

// The results of a subscription, over a WebSocket of its own: its token is the one of now, and it ends with the socket.
// GraphiQL calls `return` when it is stopped: that has to end it at once, and not with the next event.
function follow(path, request, headers) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  // A retry would begin anew, and miss what happened meanwhile.
  const client = graphqlWs.createClient({ url: url.href, connectionParams: headers, retryAttempts: 0 });
  const followed = client.iterate(request);
  const results = read();
  const end = results.return.bind(results);
  results.return = async () => {
    await followed.return();
    return end();
  };
  return results;

  async function* read() {
    try {
      yield* followed;
    } catch (reason) {
      const closed = `The WebSocket was closed: ${reason?.code ?? ""} ${reason?.reason ?? ""}`.trimEnd();
      yield { errors: Array.isArray(reason) ? reason : [{ message: closed }] };
    } finally {
      client.dispose();
    }
  }
}
