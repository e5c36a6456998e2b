"""GraphiQL in a browser without internet: signing in, links, what is kept, the documentation, a narrow screen."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher

from api.config.settings import Settings
from api.schema import DESCRIPTION
from api.stores.stores import Stores
from tests.support import servers
from tests.support.explorer.browser import Page, find_chromium, open_browser, open_page
from tests.support.factories.catalog import create_catalog_item
from tests.support.factories.designs import create_design, layer_of
from tests.support.factories.users import create_user
from tests.support.servers import Server

PASSWORD = "fashion-wallet"
QUERY_EDITOR = "document.querySelector('.graphiql-query-editor .CodeMirror')?.CodeMirror"
VARIABLES = "document.querySelector('.graphiql-editor-tool .CodeMirror')?.CodeMirror"
ANSWER = "document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue()"
WHO = "document.querySelector('#who').textContent"


@pytest.fixture
async def accounts(stores: Stores, anyio_backend: str) -> None:
    """Two of the demo accounts, with the password that everybody knows."""
    password_hash = PasswordHasher(time_cost=1, memory_cost=32).hash(PASSWORD)
    for role, name in (("admin", "Amara"), ("user", "Robin")):
        email = f"{role}@fashion-wallet.test"
        await create_user(stores, email=email, role=role, first_name=name, last_name=None, password_hash=password_hash)


@pytest.fixture
def api(
    settings: Settings, accounts: None, installed: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """A server with GraphiQL's files, whose access tokens are so short that each request has to renew them."""
    asked = getattr(request, "param", "20")
    lifetime, explain = ("20", "admins") if asked == "admins only" else (asked, "everyone")
    shutil.copytree(installed / "explorer", tmp_path / "data" / "explorer")
    variables = servers.environment(
        settings, ACCESS_TOKEN_LIFETIME=lifetime, EXPLAIN=explain, DATA_DIR=str(tmp_path / "data"), LOG_LEVEL="info"
    )
    with servers.serving("serve", "--port", "0", folder=tmp_path, variables=variables) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A browser that reaches no other host than this one."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium is installed: the explorer can't be opened")
    with open_browser(chromium, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def window(browser: str) -> Iterator[Page]:
    """A window that all tests have, one after the other: a new one takes longer than what most do in it."""
    with open_page(browser) as window:
        yield window


@pytest.fixture
def page(api: Server, window: Page) -> Iterator[Page]:
    """The explorer, opened in a window that knows nothing of it."""
    open_explorer(window, f"{api.url}/graphql")
    yield window
    window.start_anew()


def open_explorer(page: Page, url: str) -> None:
    """Open it, and wait until it has read the schema."""
    page.open(url)
    page.wait_for(f"{QUERY_EDITOR}?.options.lint.schema != null")


def run(page: Page) -> Any:
    """Run the query of the tab that is open: its answer."""
    page.evaluate("document.querySelector('.result-window .CodeMirror').CodeMirror.setValue('')")
    page.evaluate("document.querySelector('.graphiql-execute-button').click()")
    return json.loads(page.wait_for(ANSWER))


def tab(page: Page, name: str) -> None:
    """Go to the tab of this name."""
    buttons = "[...document.querySelectorAll('.graphiql-tab-button')]"
    page.evaluate(f"{buttons}.find(tab => tab.textContent == '{name}').click()")
    page.wait_for(f"{QUERY_EDITOR}.operationName == '{name}'")


def write(page: Page, query: str, name: str) -> None:
    """Write a query with an operation of this name into the tab that is open."""
    page.evaluate(f"{QUERY_EDITOR}.setValue({json.dumps(query)})")
    page.wait_for(f"{QUERY_EDITOR}.operationName == '{name}'")


def sign_in(page: Page, role: str, name: str) -> None:
    page.evaluate(f"[...document.querySelectorAll('#accounts button')].find(b => b.textContent == '{role}').click()")
    page.wait_for(f"{WHO} == '{name} is signed in ({role})'")


def test_it_answers_without_internet(page: Page, api: Server) -> None:
    tabs = page.evaluate("[...document.querySelectorAll('.graphiql-tab-button')].map(tab => tab.textContent)")

    answer = run(page)

    # its answer is shown, and everything came from the server
    assert answer["data"] == {
        "catalogItems": {
            "totalCount": 0,
            "nodes": [],
            "pageInfo": {"hasNextPage": False, "endCursor": None},
        }
    }
    # and the settings, whose dialog brings a style of its own, open
    page.evaluate("[...document.querySelectorAll('.graphiql-sidebar button')].at(-1).click()")
    page.wait_for("document.querySelector('[role=dialog]')?.textContent.includes('Theme')")
    assert tabs == [
        "Catalog",
        "Search",
        "Facets",
        "WhoAmI",
        "Designs",
        "Similar",
        "Paging",
        "Patch",
        "History",
        "Users",
    ]
    assert page.evaluate("document.title") == "Fashion Wallet · GraphiQL"
    assert page.evaluate("[...document.querySelectorAll('button')].some(b => b.textContent == 'Headers')") is True
    assert {url.partition("/graphql")[0] for url in page.requests if not url.startswith("data:")} == {api.url}
    assert page.problems == []


def test_a_click_signs_in_for_all_tabs_and_leaves_nothing_behind(page: Page) -> None:
    # given what the page sends and keeps is written down
    page.evaluate(
        """
        window.sent = [];
        const send = window.fetch;
        window.fetch = (url, options) => { sent.push(options.body); return send(url, options); };
        window.kept = [];
        const keep = Storage.prototype.setItem;
        Storage.prototype.setItem = function (name, value) { kept.push(value); keep.call(this, name, value); };
        """
    )
    tab(page, "WhoAmI")
    nobody = run(page)

    # when the admin, whose tokens have to be renewed before each request, asks in two tabs
    sign_in(page, "admin", "Amara")
    admin = run(page)
    tab(page, "Users")
    users = run(page)
    # and the user asks afterwards, and then nobody
    sign_in(page, "user", "Robin")
    forbidden = run(page)
    tab(page, "WhoAmI")
    user = run(page)
    page.evaluate("document.querySelector('#out').click()")
    page.wait_for(f"{WHO} == 'Nobody is signed in'")
    again = run(page)

    assert nobody["data"] == again["data"] == {"viewer": None}
    assert admin["data"]["viewer"]["email"] == "admin@fashion-wallet.test"
    assert len(users["data"]["users"]["edges"]) == 2
    assert [error["extensions"]["code"] for error in forbidden["errors"]] == ["FORBIDDEN"]
    assert user["data"]["viewer"]["email"] == "user@fashion-wallet.test"
    sent = page.evaluate("window.sent")
    assert sum("refreshSession(" in body for body in sent) == 4
    assert sum("signOut(" in body for body in sent) == 2
    # then neither password nor token is anywhere that outlives the page
    tokens = page.evaluate("JSON.stringify(window.sent)")
    refresh = {json.loads(body)["variables"]["input"]["refreshToken"] for body in sent if "refreshSession(" in body}
    kept = json.dumps(
        page.evaluate("[...kept, ...Object.values({...localStorage, ...sessionStorage}), document.cookie]")
    )
    assert len(refresh) == 4
    assert PASSWORD in tokens
    assert "WhoAmI" in kept
    assert not [secret for secret in (PASSWORD, "eyJ", *refresh) if secret in kept]
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("indexedDB.databases().then(all => all.length)") == 0


def test_a_subscription_is_followed_until_it_is_stopped(page: Page, api: Server) -> None:
    sign_in(page, "admin", "Amara")
    tab(page, "WhoAmI")
    page.evaluate(
        "window.sockets = []; const Usual = window.WebSocket; "
        "window.WebSocket = class extends Usual { constructor(...given) { super(...given); sockets.push(this); } }"
    )
    write(page, "subscription Changes { catalogItemsChanged { kind item { name } } }", "Changes")
    page.evaluate("document.querySelector('.graphiql-execute-button').click()")
    page.wait_for(f"({ANSWER} ?? '').includes('STARTED')")
    assert page.evaluate("sockets.map(socket => socket.url)") == [f"{api.url}/graphql".replace("http", "ws")]

    page.evaluate(
        f"""
        (async () => {{
          const send = (query, headers) => fetch(location.pathname, {{
            method: "POST", headers: {{"content-type": "application/json", ...headers}}, body: JSON.stringify({{query}})
          }}).then(answer => answer.json());
          const admin = '{{email: "admin@fashion-wallet.test", password: "{PASSWORD}"}}';
          const {{data}} = await send(`mutation {{ signIn(input: ${{admin}}) {{ accessToken }} }}`);
          const headers = {{authorization: `Bearer ${{data.signIn.accessToken}}`}};
          const create = 'createCatalogItem(input: {{name: "Silk", type: FABRIC}}) {{ errors {{ code }} }}';
          await send(`mutation {{ ${{create}} }}`, headers);
        }})()
        """
    )
    page.wait_for(f"{ANSWER}.includes('CREATED')")
    assert json.loads(page.evaluate(ANSWER))["data"]["catalogItemsChanged"] == {
        "kind": "CREATED",
        "item": {"name": "Silk"},
    }

    # the server hears of its end at once
    assert "subscription ended" not in api.text()
    page.evaluate("document.querySelector('.graphiql-execute-button').click()")
    servers.wait_until(lambda: "subscription ended" in api.text(), "the subscription has ended", timeout=10)
    # a refusal is shown, too
    write(page, 'subscription Refused { catalogItemsChanged(after: "x") { kind } }', "Refused")
    assert [error["extensions"]["code"] for error in run(page)["errors"]] == ["BAD_USER_INPUT"]
    page.wait_for("sockets.every(socket => socket.readyState == WebSocket.CLOSED)")


@pytest.mark.parametrize("api", ["2"], indirect=True)
def test_a_subscription_says_why_its_socket_was_closed(page: Page) -> None:
    sign_in(page, "user", "Robin")
    write(page, "subscription Changes { catalogItemsChanged { kind } }", "Changes")
    page.evaluate("document.querySelector('.graphiql-execute-button').click()")

    page.wait_for(f"({ANSWER} ?? '').includes('errors')")  # the token ends after two seconds

    [error] = json.loads(page.evaluate(ANSWER))["errors"]
    assert error["message"].startswith("The WebSocket was closed: 4403 ")


@pytest.mark.parametrize("api", ["2"], indirect=True)
def test_a_token_that_ends_before_its_time_is_renewed_and_the_request_sent_again(page: Page) -> None:
    # given a page on a computer whose clock was set back after signing in, so that the token seems to be good for years
    sign_in(page, "user", "Robin")
    page.evaluate(
        "Date.now = () => 0; window.renewed = 0; const send = window.fetch; window.fetch = (url, options) => "
        "{ renewed += options.body.includes('refreshSession('); return send(url, options); }"
    )
    write(page, "query Me { viewer { email } }", "Me")

    deadline = time.monotonic() + servers.WAIT
    answers = [run(page)]
    while not page.evaluate("renewed") and time.monotonic() < deadline:
        answers.append(run(page))

    # once as the token was refused, and once more since so short a one is renewed before each request
    assert page.evaluate("renewed") == 2
    assert {answer["data"]["viewer"]["email"] for answer in answers} == {"user@fashion-wallet.test"}
    assert page.evaluate(WHO) == "Robin is signed in (user)"


def test_a_session_that_has_ended_is_nobodys(page: Page) -> None:
    sign_in(page, "user", "Robin")
    tab(page, "WhoAmI")
    write(page, "mutation End { signOut(input: { everywhere: true }) { ended } }", "End")
    ended = run(page)
    write(page, "query WhoAmI { viewer { email } }", "WhoAmI")

    answer = run(page)

    assert ended["data"] == {"signOut": {"ended": 1}}
    assert answer["data"] == {"viewer": None}
    assert page.evaluate(WHO) == "Nobody is signed in"


def test_a_wrong_password_is_said_and_asked_for_again(page: Page) -> None:
    page.evaluate("document.querySelector('#other').click()")
    page.evaluate(
        """
        document.querySelector('#email').value = 'user@fashion-wallet.test';
        document.querySelector('#password').value = 'not this one';
        document.querySelector('#sign-in [type=submit]').click()
        """
    )
    refused = page.wait_for("document.querySelector('#refused').textContent")
    page.evaluate(
        f"document.querySelector('#password').value = '{PASSWORD}'; "
        "document.querySelector('#sign-in [type=submit]').click()"
    )
    page.wait_for(f"{WHO} == 'Robin is signed in (user)'")

    assert refused == "The email or the password is wrong."
    page.wait_for("!document.querySelector('#sign-in').open")
    page.wait_for("document.querySelector('#password').value == ''")  # soon after it is closed


def test_what_has_a_password_in_it_is_not_kept(page: Page) -> None:
    kept = "Object.values(localStorage).join()"
    page.evaluate(
        "window.kept = []; const keep = Storage.prototype.setItem; "
        "Storage.prototype.setItem = function (name, value) { kept.push(value); keep.call(this, name, value); };"
    )
    typed = 'mutation M { signIn(input: { email: "a@example.com", password:\n "pink elephants" }) { expiresAt } }'
    write(page, typed, "M")
    run(page)  # which also writes it into the history
    page.evaluate(f"{VARIABLES}.setValue({json.dumps(json.dumps({'newPassword': 'pink elephants'}))})")
    run(page)
    page.evaluate(f"{VARIABLES}.setValue('')")
    write(page, "query Afterwards { __typename }", "Afterwards")
    run(page)

    page.wait_for(f"{kept}.includes('Afterwards')")
    assert "pink elephants" not in json.dumps(page.evaluate("window.kept"))


def test_a_link_opens_as_a_tab_and_is_not_run(page: Page, api: Server) -> None:
    query, variables = 'query Shared($id: ID!) { node(id: $id) { id } } # "</script>"', '{"id": "&=#"}'
    page.evaluate("window.before = true")

    open_explorer(page, f"{api.url}/graphql?{urlencode({'query': query, 'variables': variables})}")

    assert page.evaluate(f"{QUERY_EDITOR}.getValue()") == query
    assert page.evaluate(f"{VARIABLES}.getValue()") == variables
    assert page.evaluate("location.search") == ""
    assert page.evaluate(ANSWER) == ""
    page.wait_for("document.querySelector('.graphiql-tab-active button').textContent == 'Shared'")
    # and the link that the page makes is the same
    page.evaluate("document.querySelector('#share').click()")
    page.wait_for("document.querySelector('#share').textContent != 'Share'")
    assert page.evaluate("Object.fromEntries(new URLSearchParams(location.search))") == {
        "query": query,
        "variables": variables,
    }
    assert page.problems == []


def test_the_documentation_begins_with_the_schemas_description_and_lists_types_by_name(page: Page) -> None:
    page.evaluate("document.querySelector('.graphiql-sidebar button').click()")
    page.wait_for("document.querySelector('.graphiql-doc-explorer-content') != null")

    text = page.evaluate("document.querySelector('.graphiql-doc-explorer-content').innerText")
    types = text.partition("All Schema Types")[2].split()

    assert text.startswith(DESCRIPTION.partition("\n")[0])
    assert len(types) > 50
    assert types == sorted(types)


def test_it_fits_a_phone(page: Page) -> None:
    shown = """(selector => {
        const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect();
        return left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight && [right - left, bottom - top];
    })"""
    page.resize(390, 844)
    page.wait_for("innerWidth == 390")
    run(page)

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for selector in (".graphiql-query-editor", ".result-window"):
        width, height = page.evaluate(f"{shown}('{selector}')")
        assert width >= 370, selector
        assert height >= 150, selector
    for selector in ("#accounts", "#share", ".graphiql-execute-button", ".graphiql-toggle-editor-tools"):
        assert page.evaluate(f"{shown}('{selector}')"), selector
    # the documentation takes the screen, and gives it back
    page.evaluate("document.querySelector('.graphiql-sidebar button').click()")
    page.wait_for(f"{shown}('.graphiql-plugin')[0] == 390")
    assert page.evaluate("getComputedStyle(document.querySelector('.graphiql-sessions')).display") == "none"
    page.evaluate("document.querySelector('.graphiql-sidebar button').click()")
    page.wait_for("getComputedStyle(document.querySelector('.graphiql-sessions')).display != 'none'")
    assert page.problems == []


@pytest.fixture
async def looks(stores: Stores, accounts: None) -> None:
    """Three published designs, whose names come from both stores."""
    for number in range(3):
        user = await create_user(stores)
        layers = [layer_of((await create_catalog_item(stores)).id, id="1")]
        await create_design(stores, user_id=user.id, layers=layers, status="published", name=f"Gown {number}")


LOOKS = """query Looks { designs(first: 3) { totalCount
  nodes { name owner { firstName } layers { catalogItem { name } } } } }"""
ROWS = "[...document.querySelectorAll('.explain .row')]"


def explain_panel(page: Page) -> None:
    """Press the button that opens and closes the panel."""
    page.evaluate("document.querySelector('.graphiql-sidebar button[aria-label$=Explain]').click()")


def test_a_request_is_drawn_while_the_panel_is_open(looks: None, page: Page) -> None:
    write(page, LOOKS, "Looks")
    plain = run(page)
    explain_panel(page)
    page.wait_for("document.querySelector('.explain')?.textContent.includes('Run a query')")

    answer = run(page)
    page.wait_for(f"{ROWS}.length")

    # the answer is as short as without
    assert answer == plain
    assert "explain" not in answer.get("extensions", {})
    names = page.evaluate(f"{ROWS}.map(row => row.querySelector('.name').textContent)")
    # each batch is over what it has sent
    assert {name.split(" 3")[0].split(" 1")[0] for name in names} >= {
        "Query.designs",
        "find designs",
        "Design.owner",
        "SELECT shared.users",
        "DesignLayer.catalogItem",
        "SELECT catalog.catalog_items",
    }
    owner = next(index for index, name in enumerate(names) if name.startswith("Design.owner"))
    assert names[owner + 1].startswith("SELECT shared.users 3 rows")
    # every bar is within the time of the request, and in the colour of its store
    places = page.evaluate(
        f"""{ROWS}.map(row => {{
            const [bar, track] = ['.bar', '.track'].map(name => row.querySelector(name).getBoundingClientRect());
            return [(bar.left - track.left) / track.width, (bar.right - track.left) / track.width];
        }})"""
    )
    assert all(0 <= begin < end <= 1.02 for begin, end in places)
    assert places[owner][0] <= places[owner + 1][0] + 0.02
    colours = page.evaluate(f"{ROWS}.map(row => getComputedStyle(row.querySelector('.bar')).backgroundColor)")
    assert len({colours[owner], colours[owner + 1], colours[names.index("find designs 3 rows")]}) == 3
    # pointing at one tells what it was
    page.evaluate(f"{ROWS}[{owner + 1}].focus()")
    told = page.wait_for("document.querySelector('.explain .details')?.textContent")
    assert "PostgreSQL" in told
    assert "Design.owner" in told
    assert "FROM shared.users" in told
    # and closed, nothing is explained
    explain_panel(page)
    page.wait_for("!document.querySelector('.explain') || document.querySelector('.explain').offsetParent === null")
    page.evaluate(
        "window.sent = []; const send = fetch; window.fetch = (url, o) => { sent.push(o.headers); return send(url, o) }"
    )
    assert run(page) == plain
    assert page.evaluate("sent.some(headers => 'X-Explain' in headers)") is False
    assert page.problems == []


def test_the_stores_own_plans_are_shown(looks: None, page: Page) -> None:
    write(page, LOOKS, "Looks")
    explain_panel(page)
    page.wait_for("document.querySelector('.explain input') !== null")
    page.evaluate("document.querySelector('.explain input').click()")

    run(page)
    page.wait_for(f"{ROWS}.length")
    page.evaluate(f"{ROWS}.find(row => row.textContent.startsWith('SELECT shared.users')).click()")

    assert "Node Type" in page.wait_for("document.querySelector('.explain .details details')?.textContent")
    assert page.problems == []


@pytest.mark.parametrize("api", ["admins only"], indirect=True)
def test_who_may_not_know_is_told_so(page: Page) -> None:
    tab(page, "WhoAmI")
    explain_panel(page)
    page.wait_for("document.querySelector('.explain') !== null")

    refused = run(page)

    assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "for admins" in page.wait_for("document.querySelector('.explain [role=alert]')?.textContent")
    sign_in(page, "admin", "Amara")
    assert "errors" not in run(page)
    page.wait_for(f"{ROWS}.length")
    assert page.wait_for("document.querySelector('.explain [role=alert]') === null") is True
