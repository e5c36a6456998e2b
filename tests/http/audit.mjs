// Runs the audits of graphql-http against the server at the given address; prints how each ended, as JSON.
import { serverAudits } from 'graphql-http';

const results = [];
for (const audit of serverAudits({ url: process.argv[2] })) {
  const result = await audit.fn();
  const answer = result.response;
  results.push({ id: audit.id, name: audit.name, status: result.status, reason: result.reason ?? null });
  await answer?.body?.cancel();
}
console.log(JSON.stringify(results));
