// Reads answers of the API as a client with Relay does: of each, the data, or the error that reading them throws.
// node relay.cjs <name of the query>, with the answers as JSON on the standard input.
const { Environment, Network, RecordSource, Store, fetchQuery } = require('relay-runtime');
const query = require(`./src/__generated__/${process.argv[2]}.graphql.js`);

let text = '';
process.stdin.on('data', (part) => { text += part; });
process.stdin.on('end', async () => {
  const answers = JSON.parse(text);
  const read = [];
  for (const answer of answers) {
    const environment = new Environment({ network: Network.create(() => answer), store: new Store(new RecordSource()) });
    try {
      read.push({ data: await fetchQuery(environment, query, {}).toPromise() });
    } catch (error) {
      read.push({ error: error.message });
    }
  }
  console.log(JSON.stringify(read));
});
