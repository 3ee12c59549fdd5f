"""What the page is told of a start."""

from __future__ import annotations

from spawner.progress import Progress, PullProgress


def test_the_bar_never_goes_back() -> None:
    """A late event of an earlier stage changes the message, not the bar."""
    progress = Progress()
    progress.tell("container", "running", "Making your server.")
    progress.tell("image", "running", "late", 0.1)
    assert [event["progress"] for event in progress.events] == [52, 52]


def test_a_warning_is_kept_as_a_notice_once() -> None:
    """What a person should know stays visible after the start."""
    progress = Progress()
    progress.tell("hooks", "warning", "The hook failed.")
    progress.tell("hooks", "warning", "The hook failed.")
    assert progress.notices == ["The hook failed."]
    assert len(progress.events) == 1


MB = 1_000_000
RECORDED = [
    {"status": "Pulling from lab/notebook", "id": "deploy"},
    {"status": "Already exists", "progressDetail": {}, "id": "aaa"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "bbb"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "ccc"},
    {"status": "Downloading", "progressDetail": {"current": 10*MB, "total": 40*MB}, "id": "bbb"},
    {"status": "Downloading", "progressDetail": {"current": 10*MB, "total": 10*MB}, "id": "ccc"},
    {"status": "Download complete", "progressDetail": {}, "id": "bbb"},
    {"status": "Extracting", "progressDetail": {"current": 1, "total": 40_000_000}, "id": "bbb"},
    {"status": "Pull complete", "progressDetail": {}, "id": "bbb"},
    {"status": "Pull complete", "progressDetail": {}, "id": "ccc"},
    {"status": "Digest: sha256:1234"},
    {"status": "Status: Downloaded newer image for lab/notebook:deploy"},
]  # fmt: skip


def test_recorded_pull_grows_to_the_whole() -> None:
    """Percent grows with every event of a pull and ends at 1; megabytes are of all layers."""
    pull = PullProgress()
    shares, messages = [], []
    for event in RECORDED:
        pull.feed(event)
        shares.append(pull.share)
        messages.append(pull.message)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert messages[5].endswith("20 of 50 MB.")
    assert messages[-1] == "Downloading the new environment: 100%, 50 of 50 MB."


def test_garbage_in_a_pull_changes_nothing() -> None:
    """Events of an engine to come are passed over."""
    pull = PullProgress()
    for event in ({}, {"id": 7}, {"status": "x"}, {"id": "a", "progressDetail": None}):
        pull.feed(event)
    assert pull.share == 0
