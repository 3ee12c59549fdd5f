"""Groups -> roles and scopes."""

from __future__ import annotations

from jupyterhub.scopes import _check_scopes_exist

from hub_config import roles
from hub_config.settings import Groups, Settings


def test_every_right_of_a_ta_but_the_page_is_bound_to_the_students():
    """A TA's scopes reach the group of the students and nobody else."""
    settings = Settings(groups=Groups(students="class-a", tas="helpers"))
    (role,) = roles.load_roles(settings)
    assert role["groups"] == ["helpers"]
    free = [scope for scope in role["scopes"] if not scope.endswith("!group=class-a")]
    assert free == ["admin-ui"]


def test_jupyterhub_knows_every_scope():
    """No scope is misspelt."""
    (role,) = roles.load_roles(Settings())
    _check_scopes_exist(role["scopes"])


def test_a_ta_reads_no_secret_and_removes_nobody():
    """A TA gets neither tokens, auth state and server state nor rights over accounts."""
    (role,) = roles.load_roles(Settings())
    bases = {scope.split("!")[0] for scope in role["scopes"]}
    assert not {base for base in bases if base.startswith(("admin:", "tokens", "delete:users"))}
    assert bases == {
        "admin-ui",
        "list:users",
        "read:users",
        "read:servers",
        "servers",
        "access:servers",
    }
