"""What doctor says of images, with a real engine and registry."""

from __future__ import annotations

from pathlib import Path

import docker

from cli.checks import Check
from cli.machine_checks import check_images
from hub_config.settings import Profile, Settings
from tests.support.registry import LocalRegistry, push_variant


def image_check(name: str) -> Check:
    profile = Profile(name="course", image=name)
    (check,) = check_images(Settings(profile=(profile,)), {})
    return check


def test_images_of_profiles(engine: docker.APIClient, stub_image: str, tmp_path: Path) -> None:
    """An image that is here is well, one that its registry has will be pulled, and one that is
    nowhere is a problem with a fix."""
    registry = LocalRegistry(tmp_path)
    registry.start()
    name = f"{registry.host}/course:deploy"
    try:
        push_variant(engine, stub_image, name, "one")
        assert image_check(stub_image).is_well
        assert "will be pulled" in image_check(name).message
        assert image_check(name).is_well
    finally:
        registry.stop()
    nowhere = image_check(name)
    assert not nowhere.is_well
    assert nowhere.fix and f"docker pull {name}" in nowhere.fix
