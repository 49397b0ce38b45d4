"""Failure messages of programs: shortened to a line, with advice."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

# All patterns are compiled when something fails: every start of the program loads this module.

# What a Haskell program adds for those who wrote it.
BACKTRACE = r"\n?(?:HasCallStack backtrace|CallStack \(from HasCallStack\)):(?:\n +[^\n]*)*"
HOST_CHANGED = "its host key has changed"
# The exceptions of Haskell's libraries, which git-annex passes on whole: pattern -> message.
KNOWN = (
    (r's3ErrorCode = "(\w+)", s3ErrorMessage = "([^"]*)"', r"\1: \2"),
    (r'statusCode = (\d{3}), statusMessage = "([^"]*)"', r"\1 \2"),
    (r'ConnectionRestricted "([^"]*)"', r"\1"),
    (r"ConnectionFailure [^\n]*?\(([A-Z][^()\n]*)\)", r"\1"),
    (r"Push prevented due to an unverified", "git-annex pushes nothing while a special remote is not verified"),
    (r"\bNoResponseDataReceived\b|\bIncompleteHeaders\b", "the connection was ended without an answer"),
    (r"[\s(](?:ConnectionTimeout|ResponseTimeout)\)*\s*$", "no answer in time"),
    (r"InvalidStatusLine", "what answers there is no web server"),
    (r"HandshakeFailed \(?(.{1,200})", r"TLS: \1"),
    (r"HttpExceptionRequest .*\}\s*(.{1,200})$", r"\1"),
    (r"^\s*unable to check (\S+)\s*$", r"\1 cannot be reached"),
    (r"resource vanished \(([^()]*)\)", r"connection lost: \1"),
    (
        r'user error \(gpg \[.*"--decrypt".*\] exited',
        "gpg cannot decrypt: No secret key, or none that it may use",
    ),
    (r"not enough free space, need ([^(\n;]+\w)", r"not enough free space, need \1"),
    (r"No space left on device|Disk quota exceeded", r"no room is left: \g<0>"),
    (r"Host key for \S+ has changed|REMOTE HOST IDENTIFICATION HAS CHANGED", HOST_CHANGED),
    (r"Host key verification failed", "its host key is not known here"),
    (r"(Permission denied \([a-z,-]*publickey[a-z,-]*\))", r"\1"),
    (r"Read-only file system", r"it cannot be written to: \g<0>"),
    (
        r"(git config --global --add safe\.directory .+?)\s*(?:;|\n|$)",
        r"git does not trust it, as it is another user's: \1",
    ),
)
SERVER = r'(?m)^ *host += "([^"]+)"\s+port += (\d+)'
# Reasons that are not those of one file: it makes no sense to try all others.
HOPELESS = (
    r"unable to check |cannot be reached|unable to connect|Lost connection|ssh: |is not accessible|timed out|"
    r"onnection refused|onnection lost|onnection reset|unreachable|No route to host|Name or service not known|"
    r"ended without an answer|no answer in time|no web server|TLS: |cannot decrypt|cannot be written to|"
    r"does not trust it|host key|Permission denied \(|is at unsupported version|"
    r"due to an unverified special remote|failed to rsync content|"
    r"\b(?:401|403|407|502|503|504) [A-Z]|"
    r"(?:NoSuchBucket|InvalidBucketName|InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|AllAccessDisabled|"
    r"ExpiredToken|InvalidToken|RequestTimeTooSkewed|AccountProblem|NotSignedUp): "
)
DENIED = r"\b40[13] [A-Z]|(?:InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|(?:Expired|Invalid)Token): "
CHANGED = r"Host key for (\S+) has changed"  # as ssh says it
OFFENDING = r"(?m)^Offending [^\n]*key in (.+):\d+\s*$"
UNVERIFIED = r"due to an unverified special remote\..*?: (git-annex verifyremote [^\n;]+)"
TRUST = r"git config --global --add safe\.directory ([^\n;]+)"
UNREACHED = r"ssh: connect to host |Could not resolve host|Failed to connect to "  # as ssh and git say it
REACH = "see that it is on, and that its address is right"
LOCK = r"Unable to create '([^'\n]+\.lock)': File exists"  # as git says it
DAV = "WebDAV"
WEBDAV_LOGIN = ": WEBDAV_USERNAME=... WEBDAV_PASSWORD=..."
S3_LOGIN = ", in S3: AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=..."

MENDING = {
    "host key is not known": "compare its fingerprint when you connect by hand: git ls-remote {name}",
    "Permission denied (": "if your key has a passphrase, load it: ssh-add",
    "NoSuchBucket": "make the bucket anew; git annex fsck --fast --from {name} then finds what is lost",
    "RequestTimeTooSkewed": "set the clock of this computer",
    "cannot decrypt": "import the secret key that git annex info {name} names, or let gpg-agent know its passphrase",
    "cannot be written to": "make it writable, or if it is to stay so: git config remote.{name}.annex-readonly true",
    "no room is left": "make room on the disk that is full; the next run tries again",
    "free space": "make room on the disk that is full; the next run tries again",
    "does not answer": "check the network; the next run tries again",
    "unsupported version": "install a newer git-annex on this computer",
    "Transfer failed": "look there for room, and whether it may only be read (GIT_ANNEX_SHELL_READONLY); if that is "
    "meant: git config remote.{name}.annex-readonly true",
}


def shortened(message: str) -> str:
    """Return the essence of a message; one of an unknown kind, or a short one, as it is."""
    message = re.sub(BACKTRACE, "", message)
    for pattern, told in KNOWN:
        if found := re.search(pattern, message, re.DOTALL):
            short = " ".join(found.expand(told).split())
            if server := re.search(SERVER, message):
                kind = f"{DAV} " if "hDav" in message else ""
                short = f"{kind}{server[1]}:{server[2]}: {short}"
            return short
    return message


def kinds(reasons: Iterable[str]) -> list[str]:
    """Return the reasons without those that differ from others in numbers alone, such as sizes of files."""
    first: dict[str, str] = {}
    for reason in reasons:
        first.setdefault(re.sub(r"\d+", "", reason.replace(",", "")), reason)
    return list(first.values())


def is_hopeless(reason: str) -> bool:
    """Return whether all other files would fail for this reason too."""
    return re.search(HOPELESS, reason) is not None


def is_unreached(reason: str) -> bool:
    """Return whether git or ssh found no host at an address."""
    return re.search(UNREACHED, reason) is not None


def mending(reason: str, remote: str) -> str:
    """Return advice about a failure at a remote, empty where there is none."""
    name = shlex.quote(remote)
    if found := re.search(UNVERIFIED, reason):
        return found[1].replace("git-annex", "git annex", 1)
    if found := re.search(TRUST, reason):
        return f"if you trust it: git config --global --add safe.directory {found[1].strip()}"
    if found := re.search(LOCK, reason):
        return f"if no git is running there, remove {shlex.quote(found[1])}"
    if is_unreached(reason):
        return f"{REACH}: git remote get-url {name}"
    if HOST_CHANGED in reason:
        return f"if you reinstalled it: {_forget_host(reason, remote)}; otherwise do not connect"
    if re.search(DENIED, reason):
        login = WEBDAV_LOGIN if DAV in reason else S3_LOGIN
        return f"set its credentials anew{login} git annex enableremote {name}"
    return next((advice.format(name=name) for part, advice in MENDING.items() if part in reason), "")


def _forget_host(reason: str, remote: str) -> str:
    """Return the command that forgets the key of a host, as ssh names the host and the file."""
    host, file = re.search(CHANGED, reason), re.search(OFFENDING, reason)
    place = f"-f {shlex.quote(file[1])} " if file and not file[1].endswith("/.ssh/known_hosts") else ""
    return f"ssh-keygen {place}-R {shlex.quote(host[1] if host else remote)}"
