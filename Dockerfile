# Two stages: the first one has the tools (uv, npm), the second one what serves.

FROM node:24-trixie-slim AS node

FROM python:3.14-slim-trixie AS build
RUN pip install --no-cache-dir uv==0.13.9
# npm brings the explorer's files
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/fashion-wallet \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /build
# what changes seldom comes first: its layer is kept
COPY pyproject.toml ./
RUN uv sync --no-dev --extra otel --no-install-project
COPY README.md LICENSE ./
COPY api ./api
COPY models ./models
COPY documents ./documents
COPY migrations ./migrations
RUN uv sync --no-dev --extra otel --no-editable \
    && /opt/fashion-wallet/bin/fashion-wallet explorer install --data-dir /opt/fashion-wallet/share/fashion-wallet

FROM python:3.14-slim-trixie
RUN groupadd --system --gid 10001 fashion-wallet \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin fashion-wallet
COPY --from=build /opt/fashion-wallet /opt/fashion-wallet
ENV PATH=/opt/fashion-wallet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ENVIRONMENT=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/opt/fashion-wallet/share/fashion-wallet
# empty: a .env is read from where a command starts
WORKDIR /srv
# by number: Kubernetes' runAsNonRoot can't look a name up
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# whether the process lives: what fails this is restarted, which mends no store (/readyz is for who sends requests);
# without the proxy that the environment may name
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['PORT'] + '/livez', timeout=4)"]
CMD ["fashion-wallet", "serve"]
