"""Who is told of a night, and how: `notify` in study.yaml. Secrets are never here: variables of the environment hold them."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from dyadlog.schemas.catalogue import ID_PATTERN
from dyadlog.schemas.yamlfile import Listed, Strict

# `on` would be read as "true" by YAML.
When = Literal["failure", "attention", "always"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,99}", value):
        raise ValueError("the name of a variable of the environment, in capitals, not the secret itself")
    return value


def _address(value: str) -> str:
    if not re.fullmatch(r"[^\s@<>,;:\"]+@[^\s@<>,;:\"]+", value) or not value.isascii():
        raise ValueError("a plain e-mail address such as data@example.org")
    return value


def web_address(value: str) -> str:
    """An address that messages may be posted to: encrypted, or on this machine.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(value)
    if parts.scheme == "https" and parts.hostname:
        return value
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return value
    raise ValueError("an address that begins with https:// (http:// on this machine only)")


Variable = Annotated[str, AfterValidator(_variable)]
Address = Annotated[str, AfterValidator(_address)]
Seconds = Annotated[float, Field(gt=0, le=120)]


class Hook(Strict):
    """One who is told.

    `when`: `failure` only if the night failed, `attention` also if something needs a human, `always` after every night.
    `timeout_seconds`: how long a server may take to answer, step by step.
    """

    when: When = "attention"
    timeout_seconds: Seconds = 20.0


class FileHook(Hook):
    """A file in the folder `notices/` of the study; a message a line, as JSON."""

    name: Annotated[str, Field(pattern=ID_PATTERN)]


class EmailHook(Hook):
    """An e-mail by SMTP. `password_env` names the variable of the environment that holds the password of `user`."""

    server: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Address
    recipients: Annotated[Listed[Address], Field(min_length=1)]
    user: str | None = None
    password_env: Variable | None = None

    @model_validator(mode="after")
    def _sealed(self) -> EmailHook:
        if (self.user is None) != (self.password_env is None):
            raise ValueError("`user` and `password_env` together, or neither")
        if self.user and self.security == "none" and self.server not in _LOOPBACK:
            raise ValueError("`security: starttls` or `tls` where a password is sent to another machine")
        return self


class WebHook(Hook):
    """An address that gets the message as JSON by POST.

    Addresses that are secrets themselves are held by a variable of the environment: `url_env`. `token_env` names the one
    that holds a bearer token.
    """

    url: str | None = None
    url_env: Variable | None = None
    token_env: Variable | None = None

    @field_validator("url")
    @classmethod
    def _encrypted(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("an address without a name and password in it; use `url_env`")
        return value if value is None else web_address(value)

    @model_validator(mode="after")
    def _one(self) -> WebHook:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("either `url` or `url_env`")
        return self


class Notify(Strict):
    """Who is told of a night."""

    files: Listed[FileHook] = ()
    emails: Listed[EmailHook] = ()
    webhooks: Listed[WebHook] = ()
