// Whether a request of GraphiQL's is a subscription.
function isSubscription({ operationName }, document) {
  const operations = (document?.definitions ?? []).filter((each) => each.kind === "OperationDefinition");
  const asked = operationName ? operations.filter((each) => each.name?.value === operationName) : operations;
  return asked.length === 1 && asked[0].operation === "subscription";
}

// The results of a subscription, as server-sent events. GraphiQL calls `return` when it is stopped: that has to end
// the request at once, and not with the next event.
function follow(url, request, headers) {
  const stop = new AbortController();
  const results = read();
  const end = results.return.bind(results);
  results.return = () => {
    stop.abort();
    return end();
  };
  return results;

  async function* read() {
    try {
      const sent = { ...headers, "content-type": "application/json", accept: "text/event-stream" };
      const answer = await fetch(url, { method: "POST", headers: sent, body: JSON.stringify(request), signal: stop.signal });
      if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) {
        yield await answer.json(); // it was refused as a whole
        return;
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        const events = (text + part.value).split("\n\n");
        text = events.pop();
        for (const event of events) {
          const data = event.match(/^event: next\ndata: (.*)$/);
          if (data) yield JSON.parse(data[1]);
        }
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  }
}
