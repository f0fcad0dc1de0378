"""Keys: several, made once, and kept as hashes."""

from pathlib import Path

import httpx
import pytest

from pipeline.errors import StateDamaged
from pipeline.server import keys
from pipeline.server.main import serving
from pipeline.server.settings import ServerSettings
from pipeline.testing import serve_in_thread


def _status(base_url: str, key: str) -> int:
    return httpx.get(f"{base_url}/models", headers={"Authorization": f"Bearer {key}"}).status_code


def test_each_of_several_keys_opens_the_server(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path / "store", "sk-one sk-two", trainer="scripted")
    with serving(settings) as server, serve_in_thread(server):
        answers = [_status(server.base_url, key) for key in ("sk-one", "sk-two", "sk-one sk-two", "sk-three")]

    assert answers == [200, 200, 401, 401]


def test_a_store_makes_its_key_once_and_keeps_its_hash_only(tmp_path: Path) -> None:
    settings = ServerSettings(tmp_path / "store", "", trainer="scripted")
    shown: list[str] = []
    for _ in range(2):
        with serving(settings, show_key=shown.append) as server, serve_in_thread(server):
            assert _status(server.base_url, shown[0]) == 200

    assert len(shown) == 1
    files = [path for path in settings.data_dir.rglob("*") if path.is_file()]
    assert settings.data_dir / keys.FILE in files
    assert not [path for path in files if shown[0].encode() in path.read_bytes()]


def test_a_key_that_is_given_takes_the_place_of_the_one_that_was_made(tmp_path: Path) -> None:
    made = keys.make(tmp_path)
    with serving(ServerSettings(tmp_path, "sk-given", trainer="scripted")) as server, serve_in_thread(server):
        assert [_status(server.base_url, key) for key in ("sk-given", made)] == [200, 401]


def test_removing_the_file_gives_another_key(tmp_path: Path) -> None:
    first = keys.make(tmp_path)
    assert keys.made(tmp_path) == {keys.digest(first)}
    (tmp_path / keys.FILE).unlink()
    assert keys.made(tmp_path) == frozenset()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"sha256": ["xyz"]}', b"\xff"])
def test_damaged_keys_are_no_open_door(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / keys.FILE).write_bytes(damage)

    with pytest.raises(StateDamaged) as refused:
        keys.made(tmp_path)

    assert str(refused.value).startswith(f"{tmp_path / keys.FILE}: the server's keys cannot be read, got ")
    assert str(refused.value).endswith(". Remove it, and the next start makes a new key.")
