// What the server says no to, and not only for now.
class Refused extends Error {}

// Who is signed in. Everything is in this object and nowhere else: it is gone with the page.
class Session {
  static #MARGIN = 30_000; // a token that ends within so many milliseconds is exchanged before it is sent
  static #FIELDS = "accessToken refreshToken expiresAt user { email firstName lastName role } errors { message }";
  #url;
  #changed;
  #current = null; // { access, refresh, until, user }
  #refreshing = null;

  // `changed` is called with the user, or null, whenever that is another one
  constructor(url, changed) {
    this.#url = url;
    this.#changed = changed;
  }

  get user() {
    return this.#current && this.#current.user;
  }

  // Throws an Error with what the server says.
  async signIn(email, password) {
    const before = this.#current;
    this.#become(await this.#mutate("signIn", "SignInInput", { email, password }));
    if (before) this.#end(before);
  }

  signOut() {
    const before = this.#current;
    this.#become(null);
    if (before) this.#end(before);
  }

  // The headers that say who is asking, with a token that is good for a while.
  async headers() {
    if (this.#current && Date.now() > this.#current.until - Session.#MARGIN) await this.refresh();
    return this.#current ? { Authorization: `Bearer ${this.#current.access}` } : {};
  }

  // Exchanges the tokens, once however many requests wait for it. Where the session has ended, nobody is signed in.
  refresh() {
    this.#refreshing ??= this.#exchange().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #exchange() {
    const before = this.#current;
    if (!before) return;
    let after;
    try {
      after = await this.#mutate("refreshSession", "RefreshSessionInput", { refreshToken: before.refresh });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      after = null;
    }
    if (this.#current === before) this.#become(after);
  }

  #become(current) {
    this.#current = current;
    this.#changed(this.user);
  }

  // Whatever comes of it: who leaves needs no answer.
  #end(session) {
    const query = "mutation { signOut(input: {}) { ended } }";
    this.#send({ query }, { Authorization: `Bearer ${session.access}` }).catch(() => {});
  }

  async #mutate(field, type, input) {
    const query = `mutation ($input: ${type}!) { ${field}(input: $input) { ${Session.#FIELDS} } }`;
    const { body, date } = await this.#send({ query, variables: { input } }, {});
    const payload = body.data?.[field];
    if (!payload) throw new Error(body.errors?.[0]?.message ?? "The server did not answer.");
    if (!payload.accessToken) throw new Refused(payload.errors[0].message);
    return {
      access: payload.accessToken,
      refresh: payload.refreshToken,
      until: Date.now() + Date.parse(payload.expiresAt) - date, // by this computer's clock, whatever the server's says
      user: payload.user,
    };
  }

  async #send(request, headers) {
    const response = await fetch(this.#url, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(request),
    });
    return { body: await response.json(), date: Date.parse(response.headers.get("Date")) || Date.now() };
  }
}

