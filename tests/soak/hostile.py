"""Damages and forges valid files, for fuzzing."""

import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

# Typical traps of readers: ends of ranges, half a surrogate pair, paths that lead elsewhere, numbers of other kinds.
NUMBERS = (0, -1, 1, 2, 255, 2**31, 2**63, 10**30, 10**400, -0.0, 1e308, 0.5, float("inf"), float("-inf"), float("nan"))
WORDS = (
    "",
    "..",
    "../x",
    "/etc/passwd",
    "a/b",
    "a\0b",
    "\ud800",
    "NaN",
    "null",
    "auto",
    "mnist",
    "\u202e",
    "x" * 5000,
    "<script>alert(1)</script>",
    "a | b\n# c `d` [e](javascript:f)",
)
BYTES = (b"\0", b"\xff", b"\n", b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\u", b"1e999", b"NaN", b"[[[[[[[[", b"..")


def damage(data: bytes, rng: random.Random) -> bytes:
    """Returns the bytes after one to four small harms."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(data) + 1)
        harm = rng.randrange(7)
        if harm == 0 and data:
            place = min(place, len(data) - 1)
            data = data[:place] + bytes((data[place] ^ 1 << rng.randrange(8),)) + data[place + 1 :]
        elif harm == 1:
            data = data[:place]
        elif harm == 2:
            data = data[:place] + rng.choice(BYTES) * rng.choice((1, 1, 3, 400)) + data[place:]
        elif harm == 3:
            data = data[:place] + rng.randbytes(rng.choice((1, 4, 8, 60))) + data[place:]
        elif harm == 4:
            end = min(len(data), place + rng.choice((1, 4, 100)))
            data = data[:place] + data[end:]
        elif harm == 5:
            end = min(len(data), place + rng.choice((1, 8, 100)))
            data = data[:end] + data[place:end] + data[end:]
        else:
            length = rng.choice((0, 1, 7, 2**16, 2**31 - 1, 2**32 - 1)).to_bytes(4, rng.choice(("little", "big")))
            data = data[:place] + length + data[place + 4 :]
    return data


def make_value(rng: random.Random, depth: int = 0) -> Any:
    """Draws any JSON value."""
    kind = rng.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind in (1, 2):
        return rng.choice(NUMBERS)
    if kind in (3, 4):
        return rng.choice(WORDS)
    if kind == 5:
        return [make_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {rng.choice(WORDS)[:40]: make_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    nested: Any = 0
    for _ in range(rng.choice((3, 200))):
        nested = [nested] if rng.random() < 0.5 else {"a": nested}
    return nested


def list_places(document: Any) -> list[tuple[Any, Any]]:
    """Lists every container in a JSON value, with each of its keys."""
    found, containers = [], [document]
    while containers:
        node = containers.pop()
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            found.append((node, key))
            if isinstance(node[key], dict | list):
                containers.append(node[key])
    return found


def change(document: Any, rng: random.Random) -> Any:
    """Returns the JSON value with one to three parts replaced, removed or added."""
    document = json.loads(json.dumps(document))
    for _ in range(rng.randint(1, 3)):
        if not (found := list_places(document)):
            return make_value(rng)
        container, key = rng.choice(found)
        act = rng.randrange(4)
        if act == 0:
            del container[key]
        elif act == 1 and isinstance(container, dict):
            container[rng.choice(WORDS)[:40]] = make_value(rng)
        elif act == 2:
            other, theirs = rng.choice(found)
            # The part may be gone already.
            if theirs in other if isinstance(other, dict) else theirs < len(other):
                container[key] = json.loads(json.dumps(other[theirs]))
        else:
            container[key] = make_value(rng)
    return document


def encode(document: Any) -> bytes:
    return json.dumps(document).encode()


def forge_tensors(data: bytes, rng: random.Random, key: str) -> bytes:
    """Returns a safetensors file whose header is changed and whose checksum, if any, fits again.

    key: the entry of its metadata that holds JSON.
    """
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if rng.random() < 0.5:
        metadata = header.get("__metadata__", {})
        metadata[key] = json.dumps(change(json.loads(metadata[key]), rng))
    else:
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        header = {**change(tensors, rng), "__metadata__": header["__metadata__"]} if tensors else header
    if "sha256" in header.get("__metadata__", {}):
        rest = dict(header["__metadata__"])
        rest.pop("sha256")
        signed = json.dumps({**header, "__metadata__": rest}, sort_keys=True).encode()
        header["__metadata__"]["sha256"] = hashlib.sha256(signed + body).hexdigest()
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + body


def choose(*ways: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """Returns a function that makes a hostile file in one of several ways."""
    return lambda data, rng: rng.choice(ways)(data, rng)


def change_json(data: bytes, rng: random.Random) -> bytes:
    """Changes parts of a JSON file."""
    return encode(change(json.loads(data), rng))


def change_json_lines(data: bytes, rng: random.Random) -> bytes:
    """Changes, repeats, removes or reorders lines of a file of JSON lines."""
    lines = data.splitlines()
    place = rng.randrange(len(lines))
    act = rng.randrange(4)
    if act == 0:
        lines[place] = change_json(lines[place], rng)
    elif act == 1:
        lines.insert(place, rng.choice(lines))
    elif act == 2:
        rng.shuffle(lines)
    else:
        del lines[place]
    return b"\n".join(lines) + rng.choice((b"\n", b""))
