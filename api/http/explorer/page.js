(() => {
  const element = (id) => document.getElementById(id);
  const root = element("explorer");
  const options = JSON.parse(element("options").textContent);
  if (!window.React || !window.ReactDOM || !window.GraphiQL || !window.GraphiQLPluginExplorer || !window.graphqlWs) {
    const notice = document.createElement("p");
    notice.className = "notice";
    notice.textContent = options.local
      ? "GraphiQL could not be loaded. The browser's console says why."
      : "GraphiQL could not be loaded: its files are not installed on the server, and the CDN can't be " +
        "reached. Run “fashion-wallet explorer install”, then reload this page.";
    root.append(notice);
    element("bar").hidden = true;
    return;
  }
  // Its dialogs add a style element, which the content security policy wants to have the nonce.
  window.__webpack_nonce__ = document.currentScript.nonce;

  const session = new Session(location.pathname, show);
  const buttons = options.accounts.map(({ email, role }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = role;
    button.title = `Sign in as ${email}`;
    button.addEventListener("click", () => signIn(email));
    button.dataset.email = email;
    element("accounts").append(button);
    return button;
  });

  function show(user) {
    const name = user && ([user.firstName, user.lastName].filter(Boolean).join(" ") || user.email);
    element("who").textContent = user ? `${name} is signed in (${user.role.toLowerCase()})` : "Nobody is signed in";
    element("who").title = user ? user.email : "";
    element("out").hidden = !user;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.email === user?.email));
  }

  // A demo account: at once where its password is known, else it is asked for.
  async function signIn(email) {
    if (options.password === null) return ask(email, "");
    for (const button of buttons) button.disabled = true;
    try {
      await session.signIn(email, options.password);
    } catch (error) {
      ask(email, error.message);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  function ask(email, refused) {
    element("email").value = email;
    element("password").value = "";
    element("refused").textContent = refused;
    element("sign-in").showModal();
    element(email ? "password" : "email").focus();
  }

  element("other").addEventListener("click", () => ask("", ""));
  element("out").addEventListener("click", () => session.signOut());
  element("cancel").addEventListener("click", () => element("sign-in").close());
  element("sign-in").addEventListener("close", () => (element("password").value = ""));
  element("sign-in").querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await session.signIn(element("email").value, element("password").value);
      element("sign-in").close();
    } catch (error) {
      element("refused").textContent = error.message;
    }
  });

  const explanations = new Explanations();

  // Every tab's requests, as whoever is signed in, unless its editor "Headers" says who.
  const send = GraphiQL.createFetcher({ url: location.pathname, enableIncrementalDelivery: false });
  async function fetcher(request, asked = {}) {
    const own = Object.keys(asked.headers ?? {}).some((name) => name.toLowerCase() === "authorization");
    const sent = async () => (own ? asked.headers : { ...(await session.headers()), ...asked.headers });
    const explain = request.operationName === "IntrospectionQuery" ? {} : explanations.headers();
    const told = (answer) => ("X-Explain" in explain ? explanations.take(answer) : answer);
    const as = async () => ({ ...asked, headers: { ...(await sent()), ...explain } });
    if (isSubscription(request, asked.documentAST)) return follow(location.pathname, request, await sent());
    let answer = told(await send(request, await as()));
    // Refused as a whole, so that nothing has happened: the token has ended earlier than this computer's clock says.
    const refused = answer?.errors && !("data" in answer) ? answer.errors[0].extensions?.code : "";
    if (!own && session.user && /UNAUTHENTICATED|TOKEN|SESSION/.test(refused)) {
      await session.refresh();
      answer = told(await send(request, await as()));
    }
    return answer;
  }

  // The documentation lists types in the order of this map.
  function sortTypes(schema) {
    const types = schema.getTypeMap();
    for (const name of Object.keys(types).sort()) {
      const type = types[name];
      delete types[name];
      types[name] = type;
    }
  }

  // Other projects' GraphiQL on this host and port must not bring their tabs. What has a password or token written in
  // it, in a query, variables or the history, isn't kept.
  const storage = GraphiQL.createLocalStorage({ namespace: "fashion-wallet" });
  const keep = storage.setItem;
  const SECRET = /(password|token)[\\"]*(\s|\\+[nrt]|,)*:(\s|\\+[nrt]|,)*\\*"/i;
  storage.setItem = (name, value) => {
    if (!SECRET.test(value)) keep(name, value);
  };

  // A link's query opens as a tab of its own, and is never run by itself.
  const link = new URLSearchParams(location.search);
  if (link.size) history.replaceState(null, "", location.pathname);
  const shared = link.get("query") ? { query: link.get("query"), variables: link.get("variables") ?? "" } : {};

  element("share").addEventListener("click", async () => {
    const editor = (place) => root.querySelector(`${place} .CodeMirror`).CodeMirror.getValue();
    const link = new URLSearchParams({ query: editor(".graphiql-query-editor") });
    const variables = editor(".graphiql-editor-tool");
    if (variables.trim()) link.set("variables", variables);
    history.replaceState(null, "", `${location.pathname}?${link}`);
    const copied = await Promise.resolve(navigator.clipboard?.writeText(location.href)).then(
      () => Boolean(navigator.clipboard), () => false);
    element("share").textContent = copied ? "Link copied" : "Link is in the address bar";
    setTimeout(() => (element("share").textContent = "Share"), 3000);
  });

  const h = React.createElement;
  ReactDOM.createRoot(root).render(
    h(
      GraphiQL,
      {
        fetcher,
        ...shared,
        plugins: [GraphiQLPluginExplorer.explorerPlugin(), explanations.plugin()],
        defaultTabs: options.samples,
        defaultQuery: "# A new tab. Ctrl-Space completes, Ctrl-Enter runs.\n",
        isHeadersEditorEnabled: true,
        shouldPersistHeaders: false, // they hold tokens, which don't belong on the disk
        inputValueDeprecation: true,
        schemaDescription: true,
        onSchemaChange: sortTypes,
        storage,
      },
      h(GraphiQL.Logo, null, "Fashion Wallet"),
    ),
  );
})();
