"""A download is whole or it is not there, and where there is no network nobody waits."""

import gzip
import hashlib
import io
import resource
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.config import DatasetConfig
from benchmarks.datasets import images, load
from benchmarks.datasets.download import Unreachable, download_file, write_file
from tests.datasets_on_disk import write_cifar10, write_mnist_family
from variants.recipe import UserError

CONTENT = b"what is published" * 10_000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Site:
    """A web site on this machine. files: path -> content. asked: the paths that were asked for, in their order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            content = site.files.get(self.path)
            if content is None:
                self.send_error(404)
            elif callable(content):
                content(self)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = Site(f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(CONTENT)))
    handler.end_headers()
    handler.wfile.write(CONTENT[: len(CONTENT) // 2])


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(5)


def test_a_file_arrives_whole(site: Site, tmp_path: Path) -> None:
    site.files["/a"] = CONTENT
    download_file(tmp_path / "new" / "a", [site.address + "a"], MD5, patience=5)
    assert (tmp_path / "new" / "a").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


@pytest.mark.parametrize("answer", [half, CONTENT + b"!", b"", None], ids=["half", "other", "empty", "missing"])
def test_what_is_not_the_published_file_leaves_nothing(site: Site, tmp_path: Path, answer) -> None:
    site.files |= {"/a": answer} if answer is not None else {}
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1: "):
        download_file(tmp_path / "a", [site.address + "a"], MD5, patience=5)
    assert list(tmp_path.iterdir()) == []


def test_the_next_address_is_tried(site: Site, tmp_path: Path) -> None:
    site.files |= {"/half/a": half, "/whole/a": CONTENT}
    addresses = ["http://127.0.0.1:9/a", f"{site.address}none/a", f"{site.address}half/a", f"{site.address}whole/a"]
    download_file(tmp_path / "a", addresses, MD5, patience=20)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert site.asked == ["/none/a", "/half/a", "/whole/a"]


def test_a_site_that_does_not_answer_is_given_up(site: Site, tmp_path: Path) -> None:
    site.files["/a"] = silent
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"timed out|no answer within"):
        download_file(tmp_path / "a", [site.address + "a"] * 2, MD5, patience=0.6)
    assert time.monotonic() - started < 2


def test_a_name_that_is_looked_up_for_ever_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: time.sleep(5))
    started = time.monotonic()
    with pytest.raises(Unreachable, match="no answer within"):
        download_file(tmp_path / "a", ["http://a/", "http://b/"], MD5, patience=0.4)
    assert time.monotonic() - started < 2


def test_a_file_without_end_is_given_up(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.datasets import download

    monkeypatch.setattr(download, "LARGEST", len(CONTENT) - 1)
    site.files["/a"] = CONTENT
    with pytest.raises(Unreachable, match="it sends more than 169,999 bytes"):
        download_file(tmp_path / "a", [site.address + "a"], MD5, patience=5)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a", broken())
    assert (tmp_path / "a").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    site.files["/a"] = CONTENT
    with pytest.raises(UserError, match=r"cannot write .*file/a: .*; choose another folder with --data-dir") as refused:
        download_file(tmp_path / "file" / "a", [site.address + "a"], MD5, patience=5)
    assert not isinstance(refused.value, Unreachable)


def test_a_full_disk_is_said_and_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.files["/a"] = CONTENT
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*/a: .*; choose another folder") as refused:
            download_file(tmp_path / "a", [site.address + "a"], MD5, patience=5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not isinstance(refused.value, Unreachable)
    assert list(tmp_path.iterdir()) == []


# --- whole datasets


@pytest.fixture
def published(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site that has a small MNIST and a small CIFAR-10, and tables that say so."""
    source = tmp_path / "source"
    write_mnist_family(source / "raw", seed=0)
    archives = {path.name + ".gz": gzip.compress(path.read_bytes()) for path in (source / "raw").iterdir()}
    write_cifar10(source / images.CIFAR10.folder)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(source / images.CIFAR10.folder, images.CIFAR10.folder)
        archive.add(source / "raw", "../outside")
    site.files |= {f"/{name}": content for name, content in archives.items()}
    site.files[f"/{images.CIFAR10_ARCHIVE}"] = packed.getvalue()
    for name in ("MNIST", "CIFAR10"):
        table = getattr(images, name)
        files = archives if name == "MNIST" else [images.CIFAR10_ARCHIVE]
        right = {file: hashlib.md5(site.files[f"/{file}"]).hexdigest() for file in files}
        monkeypatch.setattr(images, name, replace(table, mirrors=(site.address,), archives=right, contents={}))
    return site


@pytest.mark.parametrize("name", ["mnist", "auto", "cifar10"])
def test_a_dataset_is_downloaded_once(published: Site, tmp_path: Path, name: str) -> None:
    first = load(DatasetConfig(name), tmp_path / "data")
    asked = len(published.asked)
    assert asked == (1 if name == "cifar10" else 4)
    assert load(DatasetConfig(name), tmp_path / "data").checksum == first.checksum
    assert len(published.asked) == asked
    assert first.notes == ()
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_half_archive_from_elsewhere_is_fetched_again(published: Site, tmp_path: Path, name: str) -> None:
    table = getattr(images, name.upper())
    archive = next(iter(table.archives))
    place = tmp_path / "data" / (archive if name == "cifar10" else f"{table.folder}/{archive}")
    place.parent.mkdir(parents=True)
    place.write_bytes(published.files[f"/{archive}"][:100])
    load(DatasetConfig(name), tmp_path / "data")
    assert place.read_bytes() == published.files[f"/{archive}"]


def test_a_whole_archive_needs_no_network(published: Site, tmp_path: Path) -> None:
    raw = tmp_path / "data" / images.MNIST.folder
    raw.mkdir(parents=True)
    for archive in images.MNIST.archives:
        (raw / archive).write_bytes(published.files[f"/{archive}"])
    assert load(DatasetConfig("mnist"), tmp_path / "data").name == "mnist"
    assert published.asked == []


def test_a_network_that_ends_halfway_is_no_dataset(published: Site, tmp_path: Path) -> None:
    third = list(images.MNIST.archives)[2]
    whole = published.files.pop(f"/{third}")
    with pytest.raises(
        UserError, match=f"MNIST is not complete in .*: {third} could not be downloaded .*404.*--dataset digits"
    ):
        load(DatasetConfig("mnist"), tmp_path / "data")
    fallen_back = load(DatasetConfig("auto"), tmp_path / "data")
    assert fallen_back.name == "digits"
    published.files[f"/{third}"] = whole
    assert load(DatasetConfig("mnist"), tmp_path / "data").name == "mnist"
    assert published.asked.count("/" + next(iter(images.MNIST.archives))) == 1


def test_without_network_auto_is_digits_and_says_so_loudly(tmp_path: Path) -> None:
    started = time.monotonic()
    dataset = load(DatasetConfig("auto"), tmp_path / "data")
    assert time.monotonic() - started < 10
    assert dataset.name == dataset.extractor == "digits"
    assert len(dataset.notes) == 1
    assert "THIS IS `digits`, NOT MNIST" in dataset.notes[0]
    assert dataset.checksum == load(DatasetConfig("digits")).checksum
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "title"),
    [("mnist", "MNIST"), ("fashion_mnist", "Fashion-MNIST"), ("kmnist", "KMNIST"), ("cifar10", "CIFAR-10")],
)
def test_without_network_a_dataset_that_was_asked_for_is_refused(
    tmp_path: Path, name: str, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_installed", lambda published, archive: None)
    with pytest.raises(UserError, match=f"^{title} is not complete in .* could not be downloaded .*; connect to"):
        load(DatasetConfig(name), tmp_path)


def test_auto_does_not_hide_a_damaged_mnist(published: Site, tmp_path: Path) -> None:
    load(DatasetConfig("auto"), tmp_path / "data")
    path = tmp_path / "data" / images.MNIST.folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte is damaged or only half there"):
        load(DatasetConfig("auto"), tmp_path / "data")
    path.unlink()
    assert load(DatasetConfig("auto"), tmp_path / "data").name == "mnist"


def test_archives_of_a_system_package_need_no_network_and_are_checked(
    published: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = tmp_path / "share" / "datasets" / "mnist-package"
    share.mkdir(parents=True)
    contents = {}
    for archive in images.MNIST.archives:
        unpacked = gzip.decompress(published.files[f"/{archive}"])
        (share / archive).write_bytes(gzip.compress(unpacked, compresslevel=1))
        contents[archive.removesuffix(".gz")] = hashlib.md5(unpacked).hexdigest()
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr(images, "MNIST", replace(images.MNIST, contents=contents, installed="mnist-package"))
    assert load(DatasetConfig("mnist"), tmp_path / "data").name == "mnist"
    assert published.asked == []
    (share / archive).write_bytes(gzip.compress(unpacked[:-1] + b"\x01"))
    with pytest.raises(UserError, match="its MD5 is not that of the published file"):
        load(DatasetConfig("mnist"), tmp_path / "other")
