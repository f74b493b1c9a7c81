"""A download is whole or it is not there, and where there is no network nobody waits."""

import gzip
import io
import pickle
import resource
import socket
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.config import DatasetConfig
from benchmarks.datasets import load, published
from benchmarks.datasets.download import MissingData, Unreachable, bring, guard
from tests.datasets_on_disk import DOWNLOADED, kind_of, md5_of, publish, row_of, write_published
from variants.recipe import UserError

HTML = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"


class Site:
    """A web site on this machine. files: path -> content. asked: the paths that were asked for, in their order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        # Set at the end: until then a silent answer keeps silent.
        self.ended = threading.Event()

    def publish(self, name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Publishes a small dataset here."""
        self.files |= {f"/{path}": content for path, content in publish(name, root, monkeypatch, self.address).items()}

    def gets(self) -> list[str]:
        """The paths that were downloaded, each once."""
        return list(dict.fromkeys(self.asked))


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
    site.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of the system have no datasets."""
    monkeypatch.setattr(published, "SHARES", ())


def half(content: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2])

    return answer


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# ---- the guard


def test_what_the_download_raises_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        guard(lambda: 1 / 0, tmp_path, patience=5)


def test_a_thread_that_waits_for_ever_is_given_up_and_then_stopped(tmp_path: Path) -> None:
    go, after = threading.Event(), []

    def download() -> None:
        go.wait()
        for _ in range(1000):
            time.sleep(0.001)
        after.append("went on")

    with pytest.raises(Unreachable, match="nothing arrived within 0 s"):
        guard(download, tmp_path, patience=0.3)
    (thread,) = (each for each in threading.enumerate() if each.name.startswith("download"))
    go.set()
    thread.join()
    assert after == []


@pytest.mark.long
def test_bytes_that_arrive_and_work_of_the_processor_are_waited_for(tmp_path: Path) -> None:
    def slow() -> None:
        for number in range(8):
            time.sleep(0.2)
            (tmp_path / str(number)).write_bytes(b"x")
        until = time.thread_time() + 1.0
        while time.thread_time() < until:
            pass

    guard(slow, tmp_path, patience=0.7)


def test_an_endless_file_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.datasets.download.LARGEST", 1000)

    def endless() -> None:
        with open(tmp_path / "a", "wb", buffering=0) as file:
            while True:
                file.write(bytes(100))
                time.sleep(0.01)

    with pytest.raises(Unreachable, match="it sends more than 1,000 bytes"):
        guard(endless, tmp_path, patience=5)


def test_what_is_printed_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    guard(lambda: print("Extracting"), tmp_path, patience=5)
    assert capsys.readouterr() == ("", "Extracting\n")
    assert socket.getdefaulttimeout() is None


def test_ctrl_c_works_at_once_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.datasets.download._watch", press)
    with pytest.raises(KeyboardInterrupt):
        bring(lambda folder: go.wait(), tmp_path / "data", {"a": "0" * 32}, (), "Data", 5)
    go.set()
    assert list(tmp_path.iterdir()) == []


# ---- whole datasets


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_dataset_is_downloaded_once_and_whole(
    name: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(name, tmp_path / "source", monkeypatch)
    expected = load(DatasetConfig(name), tmp_path / "source")
    first = load(DatasetConfig(name), tmp_path / "data")
    assert first.checksum == expected.checksum
    assert set(site.gets()) == set(site.files)
    asked = len(site.asked)
    (tmp_path / "data" / "prepared").rename(tmp_path / "unprepared")
    assert load(DatasetConfig(name), tmp_path / "data").checksum == first.checksum
    assert len(site.asked) == asked
    row = row_of(name)
    kept = {f"{row.root}/{file}".lstrip("/") for file in (*row.all_files, *row.archives(kind_of(name)))}
    assert {file for file in kept if (tmp_path / "data" / file).is_file()} | {
        file for file in files_in(tmp_path / "data") if any(file.startswith(f"{each}/") for each in kept)
    } == {file for file in files_in(tmp_path / "data") if not file.startswith("prepared/")}


def test_auto_is_downloaded_too(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("mnist", tmp_path / "source", monkeypatch)
    dataset = load(DatasetConfig("auto"), tmp_path / "data")
    assert (dataset.name, dataset.notes) == ("mnist", ())


@pytest.mark.parametrize("name", ["mnist", "cifar10", "emnist"])
def test_a_half_archive_from_elsewhere_is_fetched_again(
    name: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(name, tmp_path / "source", monkeypatch)
    row = row_of(name)
    archive = next(iter(row.archives(kind_of(name))))
    content = site.files[f"/{Path(archive).name}"]
    place = tmp_path / "data" / row.root / archive
    place.parent.mkdir(parents=True)
    place.write_bytes(content[:100])
    load(DatasetConfig(name), tmp_path / "data")
    assert place.read_bytes() == content


@pytest.mark.parametrize("name", ["mnist", "emnist", "cifar100", "stl10"])
def test_a_whole_archive_needs_no_network(
    name: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(name, tmp_path / "source", monkeypatch)
    row = row_of(name)
    for archive in row.archives(kind_of(name)):
        place = tmp_path / "data" / row.root / archive
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(site.files[f"/{place.name}"])
    assert load(DatasetConfig(name), tmp_path / "data").name == name
    assert site.asked == []


def test_a_network_that_ends_halfway_is_no_dataset_and_what_came_is_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish("mnist", tmp_path / "source", monkeypatch)
    first, _, third, _ = site.files
    whole = site.files.pop(third)
    with pytest.raises(
        UserError,
        match=f"^MNIST is not complete in .*raw: {third[1:]} could not be downloaded .*404.*--dataset digits$",
    ):
        load(DatasetConfig("mnist"), tmp_path / "data")
    assert load(DatasetConfig("auto"), tmp_path / "data").name == "digits"
    assert all(file.endswith(".gz") for file in files_in(tmp_path / "data"))
    site.files[third] = whole
    before = site.asked.count(first)
    assert load(DatasetConfig("mnist"), tmp_path / "data").name == "mnist"
    assert site.asked.count(first) == before


@pytest.mark.parametrize("answer", ["half", "other", "html", "empty"])
@pytest.mark.parametrize("name", ["mnist", "svhn"])
def test_what_is_not_the_published_file_leaves_nothing(
    name: str, answer: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish(name, tmp_path / "source", monkeypatch)
    first = next(iter(site.files))
    content = site.files[first]
    site.files[first] = {"half": half(content), "other": content + b"!", "html": HTML, "empty": b""}[answer]
    sentence = rf"{first[1:]} could not be downloaded \(it sent another file than the published one: the MD5 differs\)"
    with pytest.raises(MissingData, match=sentence):
        load(DatasetConfig(name), tmp_path / "data")
    assert files_in(tmp_path / "data") == set() or not (tmp_path / "data").exists()


def test_without_network_auto_is_digits_and_says_so_loudly(tmp_path: Path) -> None:
    dataset = load(DatasetConfig("auto"), tmp_path / "data")
    assert dataset.name == dataset.extractor == "digits"
    assert len(dataset.notes) == 1
    assert "THIS IS `digits`, NOT MNIST" in dataset.notes[0]
    assert dataset.checksum == load(DatasetConfig("digits")).checksum
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", DOWNLOADED)
def test_without_network_a_dataset_that_was_asked_for_is_refused(name: str, tmp_path: Path) -> None:
    title = row_of(name).title
    with pytest.raises(UserError, match=f"^{title} is not complete in .* could not be downloaded .*; connect to") as no:
        load(DatasetConfig(name), tmp_path / "data")
    assert "\n" not in str(no.value)
    assert not (tmp_path / "data").exists()


def test_where_nobody_answers_auto_is_digits(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("mnist", tmp_path / "source", monkeypatch)
    site.files = {path: lambda handler: site.ended.wait() for path in site.files}
    monkeypatch.setattr("benchmarks.datasets.images.IMPATIENCE", 0.5)
    assert load(DatasetConfig("auto"), tmp_path / "data").name == "digits"
    assert not (tmp_path / "data").exists()


def test_where_a_name_is_looked_up_for_ever_auto_is_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def unanswered(*_: object, **__: object) -> None:
        ended.wait()
        raise OSError("at last")

    monkeypatch.setattr(urllib.request, "urlopen", unanswered)
    monkeypatch.setattr("benchmarks.datasets.images.IMPATIENCE", 0.5)
    dataset = load(DatasetConfig("auto"), tmp_path / "data")
    ended.set()
    assert dataset.name == "digits"
    assert "nothing arrived within" in dataset.notes[0]


def test_a_connection_that_is_never_made_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A full queue of waiting connections: packets to it vanish, as those to a dead address do.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(server.getsockname())
        monkeypatch.setattr(kind_of("usps"), "split_list", {
            part: [f"http://127.0.0.1:{server.getsockname()[1]}/{file}", file, md5]
            for part, (_, file, md5) in kind_of("usps").split_list.items()
        })  # fmt: skip
        with pytest.raises(MissingData, match=r"usps.bz2 could not be downloaded \(.*(timed out|nothing arrived)"):
            published.load_published(row_of("usps"), DatasetConfig("usps"), tmp_path / "data", 0.6)
        for each in waiting:
            each.close()


def test_auto_does_not_hide_a_damaged_mnist(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("mnist", tmp_path / "source", monkeypatch)
    load(DatasetConfig("auto"), tmp_path / "data")
    path = tmp_path / "data" / "MNIST" / "raw" / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte is damaged or only half there"):
        load(DatasetConfig("auto"), tmp_path / "data")
    path.unlink()
    assert load(DatasetConfig("auto"), tmp_path / "data").name == "mnist"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        UserError,
        match=r"^MNIST is not complete in .*file/data, and nothing can be written there \(.*\); choose another",
    ):
        load(DatasetConfig("mnist"), tmp_path / "file" / "data")
    assert load(DatasetConfig("auto"), tmp_path / "file" / "data").name == "digits"


def test_a_full_disk_is_said_and_leaves_nothing(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("svhn", tmp_path / "source", monkeypatch)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"^cannot write SVHN to .*: File too large; choose another folder") as no:
            load(DatasetConfig("svhn"), tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not isinstance(no.value, MissingData)
    assert not (tmp_path / "data").exists()


class Code:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.path, "this ran")


@pytest.mark.parametrize("file", ["data_batch_2", "test_batch", "batches.meta"])
def test_code_in_a_pickle_is_not_run(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_published("cifar10", tmp_path, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / file).write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    with pytest.raises(UserError, match=rf"{file} is damaged or only half there: its MD5 is not that of the published"):
        load(DatasetConfig("cifar10"), tmp_path)
    assert not (tmp_path / "ran").exists()


def test_code_in_a_downloaded_pickle_is_not_run(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish("cifar10", tmp_path / "source", monkeypatch)
    folder = tmp_path / "source" / "cifar-10-batches-py"
    (folder / "data_batch_2").write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(folder, folder.name)
    site.files["/cifar-10-python.tar.gz"] = content.getvalue()
    with pytest.raises(MissingData, match="the MD5 differs"):
        load(DatasetConfig("cifar10"), tmp_path / "data")
    # Even an archive that passes for the published one holds batches whose MD5 are known.
    monkeypatch.setattr(kind_of("cifar10"), "tgz_md5", md5_of(content.getvalue()))
    with pytest.raises(MissingData):
        load(DatasetConfig("cifar10"), tmp_path / "data")
    assert not (tmp_path / "ran").exists()


# ---- packages of the system


def test_archives_of_a_system_package_need_no_network_and_are_checked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish("fashion_mnist", tmp_path / "source", monkeypatch)
    share = tmp_path / "share"
    (share / "datasets" / "fashion-mnist").mkdir(parents=True)
    for file in row_of("fashion_mnist").all_files:
        packed = gzip.compress((tmp_path / "source" / file).read_bytes(), compresslevel=1)
        archive = share / "datasets" / "fashion-mnist" / f"{Path(file).name}.gz"
        archive.write_bytes(packed)
    monkeypatch.setattr(published, "SHARES", (tmp_path / "none", share))
    expected = load(DatasetConfig("fashion_mnist"), tmp_path / "source").checksum
    assert load(DatasetConfig("fashion_mnist"), tmp_path / "data").checksum == expected
    assert site.asked == []
    archive.write_bytes(gzip.compress(gzip.decompress(packed)[:-1] + b"\x0b"))
    with pytest.raises(UserError, match=rf"{archive.name} does not hold the published file: the MD5 differs"):
        load(DatasetConfig("fashion_mnist"), tmp_path / "other")
