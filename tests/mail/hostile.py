"""Mail that means harm: one of each kind. What shows mail is tested with all of them.

OUTSIDE stands for every address outside; tests put one of their own in its place and listen there.
"""

# ruff: noqa: E501  what it holds is long in one piece
from __future__ import annotations

import binascii

OUTSIDE = b"http://outside.invalid"
SCRIPT = b"<script>document.title='taken over';alert(1)</script>"
BREAKS_OUT = b"\"'></pre></textarea></title></iframe><img src=x onerror=\"alert('ran')\">" + SCRIPT

HTML = (
    b"<!doctype html><html><head><title>t</title>" + SCRIPT + b"<base href='OUT/'>"
    b"<meta http-equiv=refresh content='0;url=OUT/refresh'><meta http-equiv='Set-Cookie' content='a=b'>"
    b"<link rel=stylesheet href='OUT/a.css'><link rel=preconnect href='OUT'><link rel=dns-prefetch href='OUT'>"
    b"<link rel=prefetch href='OUT/p'><link rel=icon href='OUT/i'><link rel=manifest href='OUT/m'>"
    b"<style>@import 'OUT/b.css';@font-face{font-family:x;src:url(OUT/f.woff)}"
    b"body{background:url(OUT/bg.png);font-family:x}p::before{content:url(OUT/c.png)}</style></head>"
    b"<body background='OUT/body.png' onload=\"alert(2)\"><p style='background:url(OUT/p.png)'>Hello, reader</p>"
    b"<img src='OUT/track.gif'><img src=relative.gif><img srcset='OUT/s.png 1x'><picture><source srcset='OUT/q.png'></picture>"
    b"<video src='OUT/v' poster='OUT/po' autoplay></video><audio src='OUT/au' autoplay></audio>"
    b"<iframe src='OUT/frame'></iframe><iframe srcdoc='<script>alert(3)</script>'></iframe>"
    b"<object data='OUT/o'></object><embed src='OUT/e'><frameset><frame src='OUT/f'></frameset>"
    b"<svg onload=\"alert(4)\"><image href='OUT/svg.png'/><use href='OUT/u.svg#x'/><script>alert(5)</script>"
    b"<animate attributeName=href values='OUT/an'/><foreignObject><iframe src='OUT/fo'></iframe></foreignObject></svg>"
    b"<math><maction actiontype='statusline' xlink:href='javascript:alert(6)'>x</maction></math>"
    b"<form id=f action='OUT/form'><input name=a autofocus onfocus=\"alert(7)\"><button>go</button></form>"
    b"<a id=link href='OUT/click' ping='OUT/ping'>a link</a><a href='javascript:alert(8)'>another</a>"
    b"<img src='data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(9)\"/>'>"
    b"<script src='OUT/s.js'></script><script type=module>import 'OUT/m.js'</script>"
    b"<script type=speculationrules>{\"prefetch\":[{\"source\":\"list\",\"urls\":[\"OUT/sr\"]}]}</script>"
    b"<details open ontoggle=\"alert(10)\"><summary>x</summary></details></body></html>"
)  # fmt: skip

_HEAD = (
    b"From: \"" + SCRIPT + b"\" <a@example.org>\r\nTo: b@example.com\r\n"
    b"Subject: " + BREAKS_OUT + b"\r\nX-" + SCRIPT.replace(b" ", b"") + b": " + BREAKS_OUT + b"\r\n"
    b"Message-ID: <" + SCRIPT + b"@example.org>\r\nMIME-Version: 1.0\r\n"
)  # fmt: skip


def _mixed(*parts: bytes) -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return _HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def with_outside(address: bytes = OUTSIDE) -> bytes:
    """Everything at once: hostile words in every place, HTML that wants out, files with hostile names."""
    name = b"../" + SCRIPT + b".html"
    return _mixed(
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + BREAKS_OUT,
        b"Content-Type: text/html; charset=utf-8\r\n\r\n" + HTML.replace(b"OUT", address),
        b"Content-Type: text/html; name*=utf-8''"
        + b"".join(b"%%%02X" % each for each in name)
        + b"\r\n\r\n"
        + SCRIPT,
        b'Content-Type: image/svg+xml\r\nContent-Disposition: attachment; filename="x\xe2\x80\xaegpj.svg"\r\n\r\n'
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(11)"/>',
        b"Content-Type: application/x" + SCRIPT + b"\r\n\r\nx",
    )


def _html(content: bytes) -> bytes:
    return _HEAD + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + content


def _nested(depth: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)
    )


KINDS = {
    "everything": lambda: with_outside(),
    "10,000 headers": lambda: b"X-%s: y\r\n" % SCRIPT * 10_000 + _html(b"<p>x"),
    "one huge header": lambda: b"X-Long: " + b"a " * 2_000_000 + b"\r\n" + _html(b"<p>x"),
    "no header at all": lambda: SCRIPT,
    "no body": lambda: _HEAD,
    "octets": lambda: bytes(range(256)) * 400,
    "broken base64": lambda: _HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=B=C!" * 9_000,
    "broken boundary": lambda: _HEAD + b"Content-Type: multipart/mixed; boundary=\"\r\n\r\n--\r\n" + SCRIPT,
    "unknown charset": lambda: _HEAD + b"Content-Type: text/plain; charset=" + SCRIPT + b"\r\n\r\n\xff\xfe" + SCRIPT,
    "utf-7": lambda: _HEAD + b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "nested": lambda: _HEAD + _nested(5_000),
    "100,000 parts": lambda: _HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
    "500 parts of many parameters": lambda: _mixed(
        *[b"Content-Type: application/x" + b'; a*0*="' * 2_000 + b"\r\n\r\nx"] * 500
    ),
    "30 MB of HTML": lambda: _html(b"<p>hello <b onclick='alert(1)'>you</b></p>\r\n" * 700_000),
    "30 MB of HTML in quoted-printable": lambda: (
        _HEAD + b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/html\r\n\r\n"
        + b"=3Cp=3Ehello=3C/p=3E=\r\n" * 1_300_000
    ),
    "deep HTML": lambda: _html(b"<div>" * 400_000),
    "HTML of nothing but <": lambda: _html(b"<" * 5_000_000),
    "50 MB attached": lambda: _mixed(
        b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + (binascii.b2a_base64(b"x" * 57).strip() + b"\r\n") * 640_000
    ),
    "50 MB without a line end": lambda: _HEAD + b"\r\n" + b"x" * 50_000_000,
}  # fmt: skip
LARGE = frozenset(name for name in KINDS if "MB" in name)
