"""Addresses of two forms."""

import pytest

from libs.host.listen import TcpAddress, UnixAddress, address_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/m.sock", UnixAddress("/run/m.sock")),
        ("127.0.0.1:9801", TcpAddress("127.0.0.1", 9801)),
        ("http://localhost:9801", TcpAddress("localhost", 9801)),
        ("http://localhost:9801/", TcpAddress("localhost", 9801)),
        ("[::1]:0", TcpAddress("::1", 0)),
    ],
)
def test_an_address_is_read(text: str, address: object):
    assert address_of(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "unix:relative",
        "unix:/" + "x" * 107,
        "localhost",
        ":80",
        "h:",
        "h:x",
        "h:65536",
        "h:-1",
        "h:²",
    ],
)
def test_what_is_no_address_is_refused(text: str):
    with pytest.raises(ValueError, match=r"address|path"):
        address_of(text)
