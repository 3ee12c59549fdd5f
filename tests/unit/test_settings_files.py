"""What the settings say of the disk: secret files, certificates, links; all with real files."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub_config.loading import SettingsError, load_settings
from hub_config.settings import Settings

GITHUB = '[login.github]\nclient_id = "id"\norganization = "my-course"\n'
IN_FILE = GITHUB + 'client_secret_file = "secret"\n'
CANARY = "CANARY-0a1b2c"


@pytest.fixture
def hub_toml(tmp_path: Path) -> Path:
    return tmp_path / "hub.toml"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{CANARY}\n")
    file.chmod(0o600)
    return file


def refused(hub_toml: Path, environ: dict[str, str] | None = None) -> str:
    """Return the text of the one problem; no form of it holds the secret."""
    with pytest.raises(SettingsError) as caught:
        load_settings(hub_toml, environ or {})
    assert len(caught.value.problems) == 1, str(caught.value)
    assert "CANARY" not in str(caught.value) + repr(caught.value.problems)
    return str(caught.value.problems[0])


def client_secret(settings: Settings) -> str:
    assert settings.login.github is not None
    return settings.login.github.client_secret.get_secret_value()


def test_from_a_file_beside_hub_toml(hub_toml: Path, secret: Path):
    """KEY_file names a file, relative to hub.toml; its last line break is not the secret's."""
    hub_toml.write_text(IN_FILE)
    assert client_secret(load_settings(hub_toml, {})) == CANARY


def test_from_the_environment(hub_toml: Path, secret: Path):
    """The environment wins over whatever the file says, even where that is wrong."""
    hub_toml.write_text(GITHUB + 'client_secret_file = "no-such-file"\n')
    name = "LABHUB_LOGIN_GITHUB_CLIENT_SECRET"
    assert client_secret(load_settings(hub_toml, {name: "from-environment"})) == "from-environment"
    assert client_secret(load_settings(hub_toml, {f"{name}_FILE": str(secret)})) == CANARY


def test_registry_password_from_a_file(hub_toml: Path, secret: Path):
    """Every secret key has its KEY_file."""
    table = '[registry]\nhost = "quay.io"\nusername = "robot"\npassword_file = "secret"\n'
    hub_toml.write_text(table)
    password = load_settings(hub_toml, {}).registry.password
    assert password is not None
    assert password.get_secret_value() == CANARY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o660, 0o644])
def test_open_to_others(hub_toml: Path, secret: Path, mode: int):
    """A secret file that others can open is refused, with the command that mends it."""
    hub_toml.write_text(IN_FILE)
    secret.chmod(mode)
    text = refused(hub_toml)
    assert "login.github.client_secret_file: names a file that others can read" in text
    assert f"chmod 600 {secret}" in text


def test_missing_says_where_it_was_looked_for(hub_toml: Path, tmp_path: Path):
    """The path itself is not told: people write the secret there by mistake."""
    hub_toml.write_text(GITHUB + f'client_secret_file = "{CANARY}"\n')
    text = refused(hub_toml)
    assert "client_secret_file: names a file that is not there" in text
    assert f"Relative ones begin at {tmp_path}." in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"CANARY\nCANARY-2\n", "holds more than a secret in one line"),
        (b"CANARY" * 20000, "holds more than a secret in one line"),
        (b"\xff\xfe", "is not text"),
    ],
)
def test_content_that_is_no_secret(hub_toml: Path, secret: Path, content: bytes, words: str):
    """Only one line of text is a secret."""
    hub_toml.write_text(IN_FILE)
    secret.write_bytes(content)
    assert f"names a file that {words}" in refused(hub_toml)


def test_what_is_no_file(hub_toml: Path, tmp_path: Path):
    """A folder is refused, and a FIFO holds nobody up."""
    hub_toml.write_text(IN_FILE)
    (tmp_path / "secret").mkdir()
    assert "is not a file" in refused(hub_toml)
    (tmp_path / "secret").rmdir()
    os.mkfifo(tmp_path / "secret", 0o600)
    assert "is not a file" in refused(hub_toml)


def test_secret_in_a_hub_toml_that_others_read(hub_toml: Path):
    """A secret may stand in hub.toml itself, when only its owner can read that."""
    hub_toml.write_text(GITHUB + f'client_secret = "{CANARY}"\n')
    hub_toml.chmod(0o644)
    text = refused(hub_toml)
    assert "client_secret: stands in hub.toml, which others can read" in text
    assert f"chmod 600 {hub_toml}" in text
    hub_toml.chmod(0o600)
    assert client_secret(load_settings(hub_toml, {})) == CANARY


def test_variable_with_a_wrong_file(hub_toml: Path, secret: Path):
    """The variable is named, since it is what must be corrected."""
    hub_toml.write_text(GITHUB)
    secret.chmod(0o644)
    name = "LABHUB_LOGIN_GITHUB_CLIENT_SECRET_FILE"
    text = refused(hub_toml, {name: str(secret)})
    assert f"(from the environment, {name}): names a file that others can read" in text


def make_certificate(folder: Path, name: str, passphrase: bytes | None = None) -> None:
    """Write NAME.crt and NAME.key, self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(issuer_name=who, subject_name=who, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    (folder / f"{name}.crt").write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    pem = serialization.PrivateFormat.PKCS8
    key_file = folder / f"{name}.key"
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, encryption))
    key_file.chmod(0o600)


def certificate(crt: str, key: str) -> str:
    return f'[hub]\ncertificate_crt = "{crt}"\ncertificate_key = "{key}"\n'


def test_certificate_and_key(hub_toml: Path, tmp_path: Path):
    """A pair that fits is taken, also where a group such as ssl-cert reads the key."""
    make_certificate(tmp_path, "hub")
    hub_toml.write_text(certificate("hub.crt", "hub.key"))
    (tmp_path / "hub.key").chmod(0o640)
    assert load_settings(hub_toml, {}).hub.url == "https://127.0.0.1:8000/"


def test_certificate_from_the_environment_of_the_openbis_image(hub_toml: Path, tmp_path: Path):
    """CERTIFICATE_CRT and CERTIFICATE_KEY name the files."""
    make_certificate(tmp_path, "hub")
    hub_toml.write_text("")
    names = {"CERTIFICATE_CRT": f"{tmp_path}/hub.crt", "CERTIFICATE_KEY": f"{tmp_path}/hub.key"}
    assert load_settings(hub_toml, names).hub.certificate_key == tmp_path / "hub.key"


def test_key_open_to_others(hub_toml: Path, tmp_path: Path):
    """Whoever reads the key can be the hub."""
    make_certificate(tmp_path, "hub")
    hub_toml.write_text(certificate("hub.crt", "hub.key"))
    (tmp_path / "hub.key").chmod(0o644)
    text = refused(hub_toml)
    assert "hub.certificate_key: names a file that others can read" in text
    assert f"chmod 600 {tmp_path}/hub.key" in text


def test_key_of_another_certificate(hub_toml: Path, tmp_path: Path):
    """A pair that does not fit is told before any browser sees it."""
    make_certificate(tmp_path, "hub")
    make_certificate(tmp_path, "other")
    hub_toml.write_text(certificate("hub.crt", "other.key"))
    assert "hub.certificate_key: belongs to another certificate" in refused(hub_toml)


def test_key_with_a_pass_phrase(hub_toml: Path, tmp_path: Path):
    """Nobody is there to type it when the hub starts."""
    make_certificate(tmp_path, "hub", b"CANARY")
    hub_toml.write_text(certificate("hub.crt", "hub.key"))
    assert "the key must have no pass phrase" in refused(hub_toml)


def test_certificate_that_is_none(hub_toml: Path, tmp_path: Path):
    """Any text is not a certificate."""
    make_certificate(tmp_path, "hub")
    (tmp_path / "hub.crt").write_text("hello")
    hub_toml.write_text(certificate("hub.crt", "hub.key"))
    assert "Both must be PEM files" in refused(hub_toml)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ('[home]\nfolder = "link/homes"\n', "home.folder"),
        ('[[share]]\nname = "a"\ntarget = "/a"\nfolder = "link"\n', "share[0].folder"),
        ('[hooks]\nfolder = "link/start"\n', "hooks.folder"),
        (
            '[home]\nkind = "nfs"\nserver = "n"\nexport = "{here}/link/homes"\n'
            'mount_type = "none"\noptions = "bind"\n',
            "home.export",
        ),
    ],
)
def test_links_into_the_system(hub_toml: Path, tmp_path: Path, table: str, key: str):
    """A link is looked through before anything is mounted."""
    (tmp_path / "link").symlink_to("/etc")
    hub_toml.write_text(table.replace("{here}", str(tmp_path)))
    text = refused(hub_toml)
    assert text.startswith(f"{key}: leads through a link to /etc")
    assert "a folder of the system" in text


def test_link_to_the_data_folder(hub_toml: Path, tmp_path: Path):
    """The hub's secrets are not reached through a link either."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    hub_toml.write_text('[[share]]\nname = "a"\ntarget = "/a"\nfolder = "link"\n')
    assert "which holds the hub's own data and secrets" in refused(hub_toml)


def test_share_that_holds_hub_toml(hub_toml: Path, tmp_path: Path):
    """Whoever could write hub.toml would be the operator."""
    state = tmp_path.parent / f"{tmp_path.name}-state"
    share = f'[[share]]\nname = "a"\ntarget = "/a"\nfolder = "{tmp_path}"\n'
    homes = f'[home]\nfolder = "{state}/homes"\n[hooks]\nfolder = "{state}/hooks"\n'
    hub_toml.write_text(
        f'[hub]\ndata_folder = "{state}/data"\n{homes}log_folder = "{state}/logs"\n{share}'
    )
    assert "share[0].folder: holds hub.toml" in refused(hub_toml)
