"""Web requests that reach public addresses only, whatever a name resolves to and wherever it leads.

A worker stands inside a network that the caller of an API may not be in. Every request, each
redirect included, goes to an address that was looked up and checked here, not to what the name
resolves to a moment later.
"""

import ipaddress
import socket
from collections.abc import Sequence

import httpx

from longscribe.errors import RecordingError
from longscribe.storage.uris import WEB
from longscribe.wording.catalog import translated

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: the last four bytes are the IPv4 address


def is_public(address: Address) -> bool:
    """Whether an address belongs to a host of the internet, IPv4 inside IPv6 unwrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


class PublicOnly(httpx.BaseTransport):
    """Sends requests to checked addresses, under the name they were meant for.

    Args:
        private_hosts: names, addresses and networks that may be reached although they are private.
    """

    def __init__(self, private_hosts: Sequence[str] = ()) -> None:
        self._names = frozenset(private_hosts)
        self._networks = [
            network for host in private_hosts if (network := _network(host)) is not None
        ]
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, to the first of the host's addresses that can be reached."""
        if request.url.scheme not in WEB:
            raise RecordingError(
                translated(
                    "the download was redirected to a {scheme}:// URL; "
                    "only http:// and https:// are followed."
                ).format(scheme=request.url.scheme)
            )
        failure: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in self._addresses(request.url):
            # https://www.python-httpx.org/advanced/extensions/#sni_hostname: the certificate is
            # still that of the name.
            extensions = {**request.extensions, "sni_hostname": request.url.host}
            try:
                return self._inner.handle_request(
                    httpx.Request(
                        request.method,
                        request.url.copy_with(host=str(address)),
                        headers=request.headers,  # the Host header among them
                        stream=request.stream,
                        extensions=extensions,
                    )
                )
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _addresses(self, url: httpx.URL) -> list[Address]:
        try:
            found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise RecordingError(
                translated("there is no host {host!r}; check the URL.").format(host=url.host)
            ) from None
        addresses = list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
        for address in addresses:
            if not self._allowed(url.host, address):
                raise RecordingError(
                    translated(
                        "{host!r} is not a public address, and downloads from inside the network "
                        "are refused; put it into LONGSCRIBE_PRIVATE_HOSTS to allow it."
                    ).format(host=url.host)
                )
        return addresses

    def _allowed(self, host: str, address: Address) -> bool:
        if is_public(address) or host.lower() in self._names:
            return True
        return any(address in network for network in self._networks)


def _network(host: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None
