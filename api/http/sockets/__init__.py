"""GraphQL over WebSocket: the protocol `graphql-transport-ws`, for the operations that `/graphql` answers over HTTP."""

from api.http.sockets.endpoint import SocketEndpoint

__all__ = ["SocketEndpoint"]
