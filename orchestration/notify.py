"""Sends messages about a night to a file, by e-mail, to a web address. Who cannot be told never makes a night fail."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dyadlog.assets.quality.notice import Notice, letter, subject
from dyadlog.schemas.notify import EmailHook, FileHook, Notify, WebHook, web_address
from dyadlog.schemas.study import Study


class _NotSentError(Exception):
    """A message could not be sent; the text is safe to show."""


def notify(study: Study, notice: Notice) -> list[str]:
    """Tell all who asked for such a message.

    Returns:
        a sentence for each that could not be told: which hook and why, without addresses, answers or secrets.
    """
    hooks: Notify = study.protocol.notify
    failed: list[str] = []

    def attempt(name: str, send: Callable[[], None]) -> None:
        try:
            send()
        except _NotSentError as error:
            failed.append(f"{name} could not be sent: {error}.")
        except Exception as error:  # a night never fails because of a message
            failed.append(f"{name} could not be sent: {_kind(error)}.")

    for number, file in enumerate(hooks.files):
        if notice.is_for(file.when):
            attempt(f"notify.files[{number}]", lambda file=file: _write(study.folder, file, notice))  # type: ignore[misc]
    for number, mail in enumerate(hooks.emails):
        if notice.is_for(mail.when):
            attempt(f"notify.emails[{number}]", lambda mail=mail: _mail(mail, notice))  # type: ignore[misc]
    for number, web in enumerate(hooks.webhooks):
        if notice.is_for(web.when):
            attempt(f"notify.webhooks[{number}]", lambda web=web: _post(web, notice))  # type: ignore[misc]
    return failed


def _kind(error: Exception) -> str:
    """What went wrong, in words of ours: messages of servers and libraries may hold anything."""
    import ssl

    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):  # its numbers are not those of the operating system
        is_unknown = isinstance(error, ssl.SSLCertVerificationError)
        return "the certificate of the server is not trusted" if is_unknown else "no encrypted connection"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    reason = getattr(error, "reason", None)
    return _kind(reason) if isinstance(reason, Exception) else type(error).__name__


def _secret(variable: str) -> str:
    found = os.environ.get(variable)
    if not found:
        raise _NotSentError(f"the variable {variable} of the environment is not set")
    return found


def _json(notice: Notice) -> str:
    return json.dumps(asdict(notice), ensure_ascii=False)


def _write(folder: Path, hook: FileHook, notice: Notice) -> None:
    path = folder / "notices" / hook.name
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(_json(notice) + "\n")


def _mail(hook: EmailHook, notice: Notice) -> None:
    import smtplib
    import ssl
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    message = EmailMessage()
    message["Subject"] = subject(notice)
    message["From"] = hook.sender
    message["To"] = ", ".join(hook.recipients)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=hook.sender.partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter(notice))
    trusted = ssl.create_default_context()
    password = _secret(hook.password_env) if hook.password_env else None
    kind = partial(smtplib.SMTP_SSL, context=trusted) if hook.security == "tls" else smtplib.SMTP
    try:
        with kind(hook.server, hook.port, timeout=hook.timeout_seconds) as server:
            if hook.security == "starttls":
                server.starttls(context=trusted)
            if hook.user and password:
                server.login(hook.user, password)
            if server.send_message(message):
                raise _NotSentError("the server refused some of the recipients")
    except smtplib.SMTPResponseException as error:
        raise _NotSentError(f"the server refused it with code {error.smtp_code}") from None
    except smtplib.SMTPRecipientsRefused:
        raise _NotSentError("the server refused all recipients") from None
    except smtplib.SMTPNotSupportedError:
        raise _NotSentError("the server does not offer what study.yaml asks for") from None
    except smtplib.SMTPServerDisconnected as error:
        was_late = isinstance(error.__context__, TimeoutError)
        raise _NotSentError("no answer in time" if was_late else "the server hung up") from None


def _post(hook: WebHook, notice: Notice) -> None:
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class Straight(HTTPRedirectHandler):
        """A message, and a token, go to the address that was named and to no other."""

        def redirect_request(self, *_: object) -> None:
            return None

    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "dyadlog"}
    if hook.token_env:
        headers["Authorization"] = f"Bearer {_secret(hook.token_env)}"
    address = hook.url or _address(hook.url_env or "")
    request = Request(address, data=_json(notice).encode(), headers=headers, method="POST")  # noqa: S310 - https, or this machine
    try:
        with build_opener(Straight).open(request, timeout=hook.timeout_seconds):
            pass
    except HTTPError as error:
        error.close()
        raise _NotSentError(f"the server answered with code {error.code}") from None


def _address(variable: str) -> str:
    try:
        return web_address(_secret(variable))
    except ValueError:
        raise _NotSentError(f"the variable {variable} of the environment holds no https address") from None
