"""The verifier against the ledgers that AECL keeps for this, against forged ones, and against AECL's own verifier.

`AECL_BIN` names the binary to agree with (otherwise `target/debug/aecl`; without one those tests are left out).
`AECL_FLIPS=all` flips every byte, which takes two minutes, instead of each eleventh.
"""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from aecl.verify import Finding, Key, NoteError, ed25519, verify
from aecl.verify import entry as entries
from aecl.verify.__main__ import main
from aecl.verify.files import tile
from aecl.verify.note import open_checkpoint
from aecl.verify.tree import Tree, leaf_hash, node_hash, root_over

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "crates/aecl-ledger/tests"
GOLDEN = KEPT / "golden"
PINNED = (GOLDEN / "verifier").read_text().strip()
KEY = Key.parse(PINNED)
SECRET = bytes([7]) * 32
BINARY = Path(os.environ.get("AECL_BIN", ROOT / "target/debug/aecl"))

agrees = pytest.mark.skipif(not BINARY.exists(), reason="there is no binary of AECL to agree with")
Entry = dict[str, Any]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """A copy of the golden export."""
    return Path(shutil.copytree(GOLDEN / "export", tmp_path / "export"))


def files(export: Path) -> list[Path]:
    return sorted(path for path in export.rglob("*") if path.is_file() and path.name != "through")


def refused(export: Path, *words: str, head: str | None = None, key: Key = KEY) -> Finding:
    with pytest.raises(Finding) as found:
        verify(str(export), key, head)
    for word in words:
        assert word in str(found.value)
    return found.value


def theirs(export: Path, *more: str) -> dict[str, Any]:
    """What AECL says about an export."""
    command = [str(BINARY), "log", "verify", str(export), "--key", PINNED, "--json", *more]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["verifies"] else 5)
    return answer


def ours(export: Path, head: str | None = None) -> dict[str, Any]:
    try:
        return {"verifies": True, "key": PINNED, "report": verify(str(export), KEY, head)}
    except Finding as finding:
        return {"verifies": False, "key": PINNED, "finding": finding.as_json()}


# Forging


def sign(message: bytes, secret: bytes = SECRET) -> bytes:
    def times(number: int) -> bytes:
        point, doubled = ed25519.NEUTRAL, ed25519.BASE
        for bit in range(number.bit_length()):
            point = ed25519.add(point, doubled) if number >> bit & 1 else point
            doubled = ed25519.double(doubled)
        return ed25519.encode(point)

    hashed = hashlib.sha512(secret).digest()
    a = int.from_bytes(hashed[:32], "little") & (2**254 - 8) | 2**254
    nonce = int.from_bytes(hashlib.sha512(hashed[32:] + message).digest(), "little") % ed25519.L
    r, public = times(nonce), times(a)
    k = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little")
    return r + ((nonce + k * a) % ed25519.L).to_bytes(32, "little")


def signed(size: int, root: bytes, origin: str = KEY.name) -> str:
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    return f"{text}\n— {KEY.name} {base64.b64encode(KEY.id + sign(text.encode())).decode()}\n"


def forge(to: Path, leaves: list[bytes], payloads: Path | None = None) -> Path:
    """An export whose tree and signature are right, whatever the entries are."""
    row, level = [leaf_hash(leaf) for leaf in leaves], 0
    root = root_over(row)
    shutil.rmtree(to, ignore_errors=True)
    while row:
        for first in range(0, len(row), 256):
            part = row[first : first + 256]
            put(to / tile(str(level), first // 256, len(part)), b"".join(part))
            if level == 0:
                bundle = leaves[first : first + 256]
                data = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in bundle)
                put(to / tile("entries", first // 256, len(part)), data)
        row = [root_over(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        level += 1
    put(to / "checkpoint", signed(len(leaves), root).encode())
    if payloads:
        shutil.copytree(payloads, to / "payloads")
    return to


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def leaves_of(export: Path) -> list[bytes]:
    data = next(export.glob("tile/entries/*.p/*")).read_bytes()
    found: list[bytes] = []
    while data:
        end = 2 + int.from_bytes(data[:2], "big")
        found.append(data[2:end])
        data = data[end:]
    return found


def compact(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode()


def story() -> list[Entry]:
    return [json.loads(leaf) for leaf in leaves_of(GOLDEN / "export")]


# Signatures


VECTORS = [  # RFC 8032, section 7.1: key, message, signature
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
        "be24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430"
        "2aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716e"
        "d28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138a"
        "c17ad9bef1177331a704",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_signatures_are_those_of_the_rfc(key: str, message: str, signature: str) -> None:
    public, text, good = bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature)
    assert ed25519.is_key(public)
    assert ed25519.verify(public, text, good)
    assert not ed25519.verify(public, text + b"\0", good)
    for at in range(64):
        assert not ed25519.verify(public, text, good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    # One signature has one spelling.
    s = int.from_bytes(good[32:], "little") + ed25519.L
    assert not ed25519.verify(public, text, good[:32] + s.to_bytes(32, "little"))
    assert not ed25519.verify(public, text, good + b"\0")


def test_points_of_small_order_and_other_spellings_are_no_keys() -> None:
    def raw(y: int, sign: int = 0) -> bytes:
        return (y | sign << 255).to_bytes(32, "little")

    eighth = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
    small = [raw(0), raw(1), raw(ed25519.P - 1), raw(0, 1), bytes.fromhex(eighth)]
    points = [ed25519.decode(key) for key in small]
    assert all(point is not None and ed25519.is_small(point) for point in points)
    not_canonical = [raw(ed25519.P), raw(ed25519.P + 1), raw(1, 1), raw(ed25519.P - 1, 1), raw(2**255 - 1), raw(2)]
    assert not any(ed25519.decode(key) for key in not_canonical)
    assert not any(ed25519.is_key(key) for key in small + not_canonical)
    # A signature that holds for every message, if anybody takes such a key: R = identity, S = 0.
    assert not any(ed25519.verify(key, b"any", raw(1) + bytes(32)) for key in small + not_canonical)
    assert not ed25519.verify(KEY.public, b"any", raw(1) + bytes(32))


def test_a_general_library_agrees() -> None:
    module = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    key = module.Ed25519PrivateKey.from_private_bytes(SECRET)
    assert key.public_key().public_bytes_raw() == KEY.public
    for n in range(20):
        message = bytes([n]) * n
        assert key.sign(message) == sign(message)
        assert ed25519.verify(KEY.public, message, key.sign(message))


NOTE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_keys_have_one_spelling() -> None:
    assert Key.parse(NOTE_KEY).name == "PeterNeumann"
    zero = base64.b64encode(b"\1" + bytes(32)).decode()
    for bad in [
        "",
        "PeterNeumann",
        NOTE_KEY.replace("c74f20a3", "c74f20a4"),
        NOTE_KEY.replace("c74f20a3", "C74F20A3"),
        NOTE_KEY.replace("PeterNeumann", ""),
        NOTE_KEY.replace("PeterNeumann", "Peter\n"),
        NOTE_KEY.replace("ARpc", "BBpc"),
        NOTE_KEY.replace("0TW", "0T"),
        f"{NOTE_KEY}\n",
        f"zero+00000000+{zero}",
    ]:
        with pytest.raises(NoteError):
            Key.parse(bad)


def test_checkpoints_have_one_spelling() -> None:
    root = hashlib.sha256(b"").digest()
    good = signed(5, root)
    assert open_checkpoint(good, KEY).size == 5
    # Others may have signed, too.
    text, line = good.split("\n\n")
    assert open_checkpoint(f"{text}\n\n— a.witness AAAAAAAA\n{line}", KEY).size == 5
    line = line.rstrip("\n")
    for bad in [
        "",
        text,
        f"{text}\n{line}\n",
        f"{text}\n\n{line}",
        f"{text}\n\n{line}\n\n",
        f"{text}\n\n{line}\nx\n",
        f"{text}\n\n{line}\n" + f"{line}\n" * 100,
        f"{text}\n\n{line.replace('—', '-')}\n",
        f"{text}\n\n{line.replace('=', '')}\n",
        f"{text}\n\n— a.witness AAAAAAAA\n",
        f"{text}\n\n{line}\n— {KEY.name} {base64.b64encode(KEY.id + bytes(64)).decode()}\n",
        good.replace("\n", "\r\n"),
        "x\n" * (1 << 19) + good,
    ]:
        with pytest.raises(NoteError):
            open_checkpoint(bad, KEY)
    root64 = base64.b64encode(root).decode()
    for bad in ["5", f"5\n{root64}\nmore", f"05\n{root64}", f"+5\n{root64}", f"{2**64}\n{root64}", "5\nAA=="]:
        text = f"{KEY.name}\n{bad}\n"
        note = f"{text}\n— {KEY.name} {base64.b64encode(KEY.id + sign(text.encode())).decode()}\n"
        with pytest.raises(NoteError, match="not a checkpoint"):
            open_checkpoint(note, KEY)
    with pytest.raises(NoteError, match="a checkpoint of"):
        open_checkpoint(signed(5, root, "other.example"), KEY)


# The tree


class Unread:
    """An export whose tiles nobody reads."""

    def hashes(self, level: int, index: int, width: int) -> list[bytes]:
        raise AssertionError((level, index, width))


def test_the_tree_is_that_of_rfc_6962(monkeypatch: pytest.MonkeyPatch) -> None:
    @functools.cache
    def mth(first: int, end: int) -> bytes:
        if end - first == 1:
            return leaf_hash(first.to_bytes(4, "big"))
        half = 1 << (end - first - 1).bit_length() - 1
        return node_hash(mth(first, first + half), mth(first + half, end))

    def compare(_tree: Tree, _level: int) -> None:
        pass

    monkeypatch.setattr(Tree, "_compare", compare)
    tree: Any = Tree(Unread(), 0, None)  # type: ignore[arg-type]
    assert tree.root() == hashlib.sha256(b"").digest()
    for size in range(1, 256 * 256 + 300):
        tree.add(leaf_hash((size - 1).to_bytes(4, "big")))
        if size < 600 or size % 4099 == 0 or size > 65500:
            assert tree.root() == mth(0, size), size
    assert root_over([bytes([n]) * 32 for n in range(3)]) == node_hash(
        node_hash(bytes(32), bytes([1]) * 32), bytes([2]) * 32
    )


def test_paths_are_those_of_tlog_tiles() -> None:
    assert tile("entries", 1_234_067, 8) == "tile/entries/x001/x234/067.p/8"
    assert [tile("0", 0, 256), tile("1", 999, 1), tile("0", 1000, 256)] == [
        "tile/0/000",
        "tile/1/999.p/1",
        "tile/0/x001/000",
    ]


# What holds


def test_the_golden_export_is_reported_as_aecl_does() -> None:
    report = verify(str(GOLDEN / "export"), KEY, (GOLDEN / "kept-head").read_text())
    assert report == json.loads((GOLDEN / "report.json").read_text())


EDITIONS = sorted(path.name for path in KEPT.glob("edition-*"))


@pytest.mark.parametrize("edition", EDITIONS)
def test_what_earlier_editions_have_written_holds(edition: str) -> None:
    assert verify(str(KEPT / edition), KEY)["payloads"] > 0


def test_an_export_without_payloads_holds(export: Path) -> None:
    shutil.rmtree(export / "payloads")
    report = verify(str(export), KEY)
    assert (report["payloads"], report["payloads_missing"], report["entries"]) == (0, 0, 27)


def test_payloads_may_be_missing_and_are_counted(export: Path) -> None:
    gone = sorted((export / "payloads").glob("*.json"))[:3]
    for path in gone:
        path.unlink()
    report = verify(str(export), KEY)
    assert (report["payloads"], report["payloads_missing"]) == (14, 3)
    gone[0].write_text("{}")
    refused(export, "its payload")
    assert verify(str(export), KEY, payloads=False)["payloads"] == 0


def test_an_empty_and_a_long_ledger_hold(tmp_path: Path) -> None:
    assert verify(str(forge(tmp_path / "a", [])), KEY)["entries"] == 0
    beats = [beat(n) for n in range(256 * 256 + 257)]
    root = root_over([leaf_hash(leaf) for leaf in beats[:300]])
    long = forge(tmp_path / "b", beats)
    assert verify(str(long), KEY, signed(300, root))["continues"] == 300
    assert verify(str(long), KEY, signed(0, root_over([])))["continues"] == 0
    refused(long, "history was written anew", head=signed(299, root))
    put(long / "tile/2/000.p/1", bytes(32))
    assert refused(long, "level 2").position is None
    put(long / "tile/0/256", bytes(32 * 256))
    assert refused(long, "level 0").position == 65536


def beat(n: int) -> bytes:
    at = f"2026-01-01T{n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.000Z"
    return compact({"v": 1, "position": n, "at": at, "kind": "heartbeat", "in_flight": 0})


def test_an_erased_payload_is_not_missing(tmp_path: Path) -> None:
    told = story()
    digest = told[2]["arguments"]
    last = {
        "v": 1,
        "position": 27,
        "at": told[-1]["at"],
        "kind": "erased",
        "payload": digest,
        "ground": "g",
        "by": "a",
    }
    export = forge(tmp_path / "x", [compact(entry) for entry in [*told, last]], GOLDEN / "export/payloads")
    report = verify(str(export), KEY)
    assert (report["payloads"], report["payloads_missing"], report["payloads_erased"]) == (17, 0, 1)
    (export / f"payloads/{digest[7:]}.json").unlink()
    report = verify(str(export), KEY)
    assert (report["payloads"], report["payloads_missing"], report["payloads_erased"]) == (16, 0, 1)


def payload(kind: str, content: bytes) -> tuple[str, bytes]:
    """A payload file and its name."""
    salt = bytes(range(32))
    name = hmac.new(salt, kind.encode() + b"\0" + content, "sha256").hexdigest()
    both = {"kind": kind, "salt": base64.b64encode(salt).decode(), "content": base64.b64encode(content).decode()}
    return name, compact(both)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 150, 786_300, 786_432, 786_433, 3_000_001])
def test_payloads_of_every_length_are_read_in_pieces(tmp_path: Path, length: int) -> None:
    name, file = payload("bundle", os.urandom(length))
    told = [entry for entry in story() if entry["kind"] == "bundle_loaded"]
    told[0].update(position=0, sources=f"sha256:{name}")
    export = forge(tmp_path / "x", [compact(entry) for entry in told])
    path = export / f"payloads/{name}.json"
    put(path, file)
    assert verify(str(export), KEY)["payloads"] == 1
    for bad in [file[:-1], file + b"\n", file.replace(b":", b": "), file.replace(b'"}', b'="}'), file + file, b""]:
        put(path, bad)
        refused(export, "entry 0: its payload")


# What was changed


def test_changes_that_others_must_notice_are_noticed(export: Path) -> None:
    kept = (GOLDEN / "kept-head").read_text()
    for case in json.loads((GOLDEN / "tampered.json").read_text()):
        path = export / case["file"]
        data = bytearray(path.read_bytes())
        assert data[case["at"]] == case["was"]
        data[case["at"]] = case["now"]
        before = path.read_bytes()
        path.write_bytes(data)
        refused(export, head=kept)
        path.write_bytes(before)


def flips(export: Path, step: int) -> Generator[str, None, None]:
    """Flips one byte after the other, each to something else, and says where."""
    for n, path in enumerate(files(export)):
        whole = path.read_bytes()
        for at in range(n % step, len(whole), step):
            flipped = bytes([whole[at] ^ (1 << (at * 7 + n) % 8)])
            path.write_bytes(whole[:at] + flipped + whole[at + 1 :])
            yield f"{path.relative_to(export)} at {at}"
        path.write_bytes(whole)


def test_every_flipped_byte_is_found(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ed25519, "verify", functools.cache(ed25519.verify))
    for where in flips(export, 1 if os.environ.get("AECL_FLIPS") == "all" else 11):
        try:
            verify(str(export), KEY)
        except Finding:
            continue
        pytest.fail(where)


def test_files_that_are_cut_are_found(export: Path) -> None:
    for path in files(export):
        whole = path.read_bytes()
        for length in {0, 1, 2, 31, 32, len(whole) // 2, len(whole) - 1}:
            path.write_bytes(whole[:length])
            refused(export)
        path.write_bytes(whole + b"\0")
        refused(export)
        if "payloads" not in path.parts:
            path.unlink()
            refused(export, "it is not there")
        path.write_bytes(whole)
    assert verify(str(export), KEY)["entries"] == 27


def test_files_that_change_places_are_found(tmp_path: Path) -> None:
    export = forge(tmp_path / "x", [beat(n) for n in range(600)])
    assert verify(str(export), KEY)["entries"] == 600
    for one, other, found in [
        ("tile/entries/000", "tile/entries/001", "entry 0: its hash is not the one"),
        ("tile/0/000", "tile/0/001", "entry 0: its hash is not the one"),
    ]:
        a, b = (export / one).read_bytes(), (export / other).read_bytes()
        put(export / one, b)
        put(export / other, a)
        refused(export, found)
        put(export / one, a)
        put(export / other, b)
    payloads = sorted((shutil.copytree(GOLDEN / "export", tmp_path / "y") / "payloads").glob("*.json"))
    a, b = payloads[0].read_bytes(), payloads[1].read_bytes()
    payloads[0].write_bytes(b)
    payloads[1].write_bytes(a)
    refused(tmp_path / "y", "its payload")


def test_heads_that_were_kept_are_continued_or_it_is_said(export: Path) -> None:
    leaves = [leaf_hash(leaf) for leaf in leaves_of(export)]
    assert verify(str(export), KEY, signed(27, root_over(leaves)))["continues"] == 27
    assert refused(export, "its tail was cut", head=signed(28, bytes(32))).position == 27
    refused(export, "history was written anew", head=signed(11, bytes(32)))
    refused(export, "history was written anew", head=(KEPT / "edition-4/checkpoint").read_text())
    refused(export, "the kept head does not hold", head="x")
    refused(export, "not signed by", key=Key.parse(NOTE_KEY))
    put(export / "tile/entries/000.p/28", b"")
    assert "beyond the head" in verify(str(export), KEY)["warnings"][-1]["what"]


# What is hostile


def test_links_pipes_and_directories_are_not_read(export: Path, tmp_path: Path) -> None:
    for name in ["checkpoint", "tile/0/000.p/27", "tile/entries/000.p/27", "tile/0", "tile", "payloads"]:
        path = export / name
        away = path.rename(tmp_path / "away")
        path.symlink_to(away)
        refused(export, "link")
        path.unlink()
        os.mkfifo(path)
        refused(export)
        path.unlink()
        if away.is_file():
            path.mkdir()
            refused(export, "plain file")
            path.rmdir()
        away.rename(path)
    one = sorted((export / "payloads").glob("*.json"))[0]
    one.rename(tmp_path / "away")
    one.symlink_to(tmp_path / "away")
    refused(export, "link")
    assert verify(str(export), KEY, payloads=False)["entries"] == 27
    refused(tmp_path / "nowhere", "cannot read")


def test_files_that_are_too_long_are_not_read(export: Path) -> None:
    for name in ["checkpoint", "tile/0/000.p/27", "tile/entries/000.p/27", *os.listdir(export / "payloads")]:
        path = export / name if (export / name).exists() else export / "payloads" / name
        if path.name == "through":
            continue
        whole = path.read_bytes()
        os.truncate(path, 1 << 40)
        refused(export, "it has more than")
        path.write_bytes(whole)


def at_least(entry: str) -> bytes:
    return (
        f'{{"v":1,"position":0,"at":"2026-01-01T00:00:00.000Z","kind":"heartbeat","in_flight":0,{entry}}}'
    ).encode()


@pytest.mark.parametrize(
    "more",
    [
        '"x":1,"x":1',
        '"kin\\u0064":"kill"',
        '"v":1',
        '"x":{"a":1,"a":1}',
        '"x":[[{"a":1,"\\u0061":1}]]',
        '"x": 1',
        '"x":1 ',
        '"x":\t1',
        '"x":[1,]',
        '"x":01',
        '"x":NaN',
        '"x":-Infinity',
        '"x":1e999',
        f'"x":{"9" * 400}',
        '"x":"\\ud83d"',
        '"x":"\\ude00"',
        '"x":"\\ud83d\\u0041"',
        '"\\ud83d":1',
        '"x":"\\q"',
        '"x":"a\x01b"',
        "\"x\":'a'",
        '"x":tru',
        f'"x":{"[" * 60000}',
        f'"x":{"[" * 129}{"]" * 129}',
        f'"x":{"[" * 30000}{"]" * 30000}',
        '"seq":0',
        '"seq":-0',
        '"seq":1.0',
        '"attempt":18446744073709551616',
        '"run":null',
        '"run":"a\\/b"',
        '"outcome":1',
        '"reported":1',
        '"decision":[]',
        '"decision":{"verdict":"a","verdict":"b"}',
        '"decision":{"verdi\\u0063t":"a"}',
        '"decision":{"verdict":"\\u0061"}',
        '"arguments":"a","output":"b"',
        '"beside":"sha256:00"',
    ],
)
def test_entries_that_say_two_things_are_refused(tmp_path: Path, more: str) -> None:
    assert refused(forge(tmp_path / "x", [at_least(more)])).position == 0


def test_entries_may_have_more_than_is_known(tmp_path: Path) -> None:
    more = (
        '"x":[-0,1.5e3,123456789012345678901234567890,"\\ud83d\\ude00\\n\\/",{"k\\u0041":null}],"resolved_by":"\\n"'
    )
    assert verify(str(forge(tmp_path / "x", [at_least(more)])), KEY)["entries"] == 1
    for bad in [b"", b"{}", b"[]", b"\xef\xbb\xbf" + at_least('"x":1'), b'{"v":1}\xff', at_least('"x":1') + b"\n"]:
        refused(forge(tmp_path / "x", [bad]), "entry 0")


def test_numbers_of_a_hostile_entry_take_no_time() -> None:
    # Quotes behind backslashes up to the end, and then something wrong.
    for bad in [
        b'{"a":"' + b'\\"' * 32000 + b'\\ud800"}',
        b'{"a":' + b"9" * 65000 + b"}",
        b'{"a":["' + b'","' * 21000,
    ]:
        with pytest.raises(entries.Malformed):
            entries.parse(bad)


Change = Callable[[list[Entry]], object]


def drop(at: int) -> Change:
    def change(told: list[Entry]) -> None:
        del told[at]
        for position, entry in enumerate(told):
            entry["position"] = position

    return change


def put_in(at: int, *path: str | int, to: Any) -> Change:
    def change(told: list[Entry]) -> None:
        place: Any = told[at]
        for part in path[:-1]:
            place = place[part]
        if to is None:
            del place[path[-1]]
        else:
            place[path[-1]] = to

    return change


# Of the golden ledger: 2 to 4 is an action that is done; 7 to 13 one that two people agree to; 14 to 16 one that
# nobody answers; 17 and 18 a kill switch; 20 to 23 an action whose end was unknown, and found out.
STORIES: dict[str, tuple[Change, str]] = {
    "an entry of a run is missing": (drop(5), "an entry is missing or twice"),
    "an entry of no run is missing": (lambda told: told.pop(17), "it says that it is entry 18"),
    "a run was never opened": (drop(0), "was never opened"),
    "no attempt": (drop(3), "an entry is missing"),
    "an attempt without an allow": (put_in(2, "outcome", to="blocked"), "means `approved`"),
    "another version": (put_in(6, "v", to=2), "it has version 2"),
    "another kind": (put_in(26, "kind", to="heartbeats"), "is unknown to this program"),
    "a time before": (put_in(20, "at", to="2026-01-01T12:59:59.000Z"), "before the entry before it"),
    "no time": (put_in(20, "at", to="2026-01-01T13:00:01Z"), "is no time"),
    "a day that is none": (put_in(26, "at", to="2026-02-30T13:00:01.500Z"), "is no time"),
    "a second attempt": (put_in(3, "attempt", to=2), "the first attempt"),
    "an attempt at something else": (put_in(3, "action", to="act_9"), "no attempt is on record"),
    "an end of something else": (put_in(4, "action", to="act_9"), "without having been started"),
    "no outcome": (put_in(4, "outcome", to="perhaps"), "is no outcome"),
    "an end that nobody found out": (put_in(23, "resolved_by", to=None), "only somebody who found out"),
    "a yes for something else": (put_in(11, "digest", to="sha256:" + "0" * 64), "was given for something else"),
    "a yes to nothing": (put_in(11, "decision", "approval", to="apr_9"), "was never asked for"),
    "a yes that is not in time": (put_in(11, "now", to="2026-01-01T12:01:01.500Z"), "is expired"),
    "a yes of too few": (put_in(11, "decision", "need", "requirements", 0, "count", to=3), "by all who had to agree"),
    "a yes for nobody": (put_in(11, "decision", "need", "requirements", to=[]), "by all who had to agree"),
    "an answer of the one it is for": (put_in(9, "vote", "person", to="ursula"), "may not answer"),
    "an answer of a stranger": (put_in(9, "vote", "groups", to=["guests"]), "may not answer"),
    "one who answers twice": (put_in(10, "vote", "person", to="ann"), "has answered"),
    "a state that does not follow": (put_in(9, "state", to="approved"), "is pending, not approved"),
    "a no that is used": (put_in(10, "vote", "yes", to=False), "is rejected, not approved"),
    "an answer too late": (put_in(10, "vote", "at", to="2026-01-01T12:01:01.500Z"), "is expired already"),
    "an answer to nothing": (put_in(9, "approval", to="apr_9"), "which nobody asks"),
    "asked as answered": (put_in(8, "ask", "state", to="approved"), "before it is asked for"),
    "asked without a need": (put_in(8, "ask", "need", to=None), "`need` is missing"),
    "expired before its time": (put_in(15, "ask", "expires_at", to="2026-01-01T14:00:00.000Z"), "had not expired"),
    "expired in another way": (put_in(16, "lapse", to="approved"), "had not expired, or not like this"),
    "a scope that is none": (put_in(17, "scope", to={"planet": "x"}), "its scope is none"),
    "a digest that is none": (put_in(1, "sources", to="sha256:0"), "is no digest"),
    "a name that is none": (put_in(0, "principal", "tenant", to="a b"), "is no name"),
    "a number that is none": (put_in(26, "in_flight", to=1.0), "is no number"),
    "an allow at the end": (lambda told: told.__delitem__(slice(3, None)), "no attempt is on record"),
}


@pytest.mark.parametrize("case", STORIES)
def test_entries_that_contradict_each_other_are_refused_although_they_are_signed(tmp_path: Path, case: str) -> None:
    told = story()
    change, word = STORIES[case]
    change(told)
    export = forge(tmp_path / "x", [compact(entry) for entry in told])
    finding = refused(export, word)
    assert finding.kind == "story"
    if BINARY.exists():
        other = theirs(export)
        assert not other["verifies"]
        assert other["finding"]["position"] == finding.position


# The command


def test_the_command_says_what_is_wrong_and_where(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(export), "--key", PINNED, "--head", str(GOLDEN / "kept-head")]) == 0
    page = capsys.readouterr().out
    assert page.startswith("Verifies: 27 entries of `ledger.test/acme`")
    assert "open        act_10 is started" in page
    assert main([str(export), "--key", PINNED, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"]["continues"] is None
    path = export / "tile/entries/000.p/27"
    path.write_bytes(path.read_bytes().replace(b'"approved"', b'"opproved"', 1))
    assert main([str(export), "--key", PINNED]) == 5
    assert capsys.readouterr().out.startswith(
        "Does not verify: entry 2: its hash is not the one in tile 0 of level 0"
    )
    assert main([str(export), "--key", PINNED, "--json"]) == 5
    finding = json.loads(capsys.readouterr().out)["finding"]
    assert (finding["position"], finding["class"]) == (2, "proof")
    for wrong in [["--key", "x"], ["--key", PINNED, "--head", str(export / "nowhere")]]:
        assert main([str(export), *wrong]) == 1
    with pytest.raises(SystemExit, match="2"):
        main([str(export)])


def test_it_runs_by_itself(export: Path) -> None:
    env = {"PYTHONPATH": str(ROOT / "sdk/python/src"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "aecl.verify", str(export), "--key", PINNED]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_does_nothing_that_an_entry_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault = {"v": 1, "position": 0, "at": story()[0]["at"], "kind": "fault", "code": "x", "message": "\x1b[2J\u202e"}
    export = forge(tmp_path / "x", [compact(fault).replace(b"\x1b", b"\\u001b")])
    assert main([str(export), "--key", PINNED]) == 0
    page = capsys.readouterr().out
    assert "\\x1b[2J\\u202e" in page
    assert not {"\x1b", "\u202e"} & set(page)


# Agreement with AECL


@agrees
@pytest.mark.parametrize("name", ["golden/export", *EDITIONS])
def test_both_say_the_same_of_what_holds(name: str) -> None:
    assert ours(KEPT / name) == theirs(KEPT / name)


@agrees
def test_both_say_the_same_of_flipped_bytes(export: Path) -> None:
    for where in flips(export, 331):
        one, other = ours(export), theirs(export)
        assert (one["verifies"], other["verifies"]) == (False, False), where
        assert one["finding"]["position"] == other["finding"]["position"], (where, one, other)


@agrees
def test_both_say_the_same_of_what_an_entry_may_say(tmp_path: Path) -> None:
    """Each member of each kind of entry, made another one: both take it, or both refuse it."""
    for at, entry in enumerate(story()):
        # Of a decision that uses a yes, AECL reads also what nobody needs to know (docs/reference/log.md).
        for member in entry if entry.get("decision", {}).get("approval") is None else ():
            changed = copy.deepcopy(story())
            changed[at][member] = 7 if isinstance(changed[at][member], str) else "x"
            export = forge(tmp_path / "x", [compact(entry) for entry in changed])
            one, other = ours(export), theirs(export)
            assert one["verifies"] == other["verifies"], (at, member, one, other)
