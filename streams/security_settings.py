"""The table ``[security]`` of the settings: how clients and broker know each other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from streams.errors import SettingsError
from streams.setting_kinds import Checked, Secret, one_of, optional_file, read_secret, secret, text


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecuritySettings(Checked):
    """How clients prove to the broker who they are, and whom they trust.

    Attributes:
      protocol: PLAINTEXT is for a broker on this machine; use SASL_SSL across a network.
      mechanism: of SASL; only read when ``protocol`` starts with SASL.
      username, password: of SASL.
      password_file: holds the password, in place of ``password``; read anew by each process.
      ca_file: PEM of the authority that signed the broker's certificate; unset trusts those of the system.
    """

    protocol: str = one_of("PLAINTEXT", ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"))
    mechanism: str = one_of("SCRAM-SHA-256", ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))
    username: str = text("", expected="a text")
    password: Secret = secret()  # noqa: RUF009 - an immutable value
    password_file: Path | None = optional_file()  # noqa: RUF009 - an immutable value
    ca_file: Path | None = optional_file()  # noqa: RUF009 - an immutable value

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.password and self.password_file is not None:
            raise SettingsError(
                "security.password and security.password_file must not both be given, got both; remove the password"
            )
        if self.protocol.startswith("SASL") and not (self.username and (self.password or self.password_file)):
            raise SettingsError(
                f"security.username and security.password must be given for {self.protocol}, got none; set "
                "MARQUEE_SECURITY_USERNAME, and MARQUEE_SECURITY_PASSWORD or MARQUEE_SECURITY_PASSWORD_FILE"
            )
        if self.ca_file is not None and not self.ca_file.is_file():
            raise SettingsError(f"security.ca_file must be a readable PEM file, got {self.ca_file}: no such file")

    def read_password(self) -> Secret:
        """The password, out of its file where it has one; a newline at the end is not part of it.

        Raises:
          SettingsError: the file cannot be read, or is not a password.
        """
        return self.password if self.password_file is None else read_secret(self.password_file)
