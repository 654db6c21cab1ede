"""What the routes work with, made once for the application."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from longscribe.web.backend import Backend
from longscribe.web.changes import Changes
from longscribe.web.database import Database
from longscribe.web.oidc import Provider
from longscribe.web.settings import WebSettings


@dataclass(frozen=True)
class Services:
    """The application's parts.

    Attributes:
        settings: from the environment.
        database: of users, keys, recordings.
        backend: that carries jobs out.
        changes: tells those who wait that a recording changed.
        provider: of logins by OpenID Connect; None where there is none.
    """

    settings: WebSettings
    database: Database
    backend: Backend
    changes: Changes
    provider: Provider | None = None


def services_of(request: HTTPConnection) -> Services:
    """The services of the application that a request came to."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
