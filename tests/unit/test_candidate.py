"""The candidate's name."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railiance.domain.candidate import Candidate, FileDigest, Image, images_of, tree_digest
from railiance.domain.canonical import canonical_json, digest_of, sha256_digest
from railiance.domain.errors import Conflict, Usage

CANDIDATE = Candidate(
    app_id="hello",
    source_revision="v1",
    resolved="c0ffee",
    mutable=False,
    dirty=False,
    images=(Image("registry.example/hello", "sha256:1"), Image("registry.example/side", "sha256:2")),
    chart=FileDigest("charts/hello", "sha256:3"),
    values=(
        FileDigest("values/stage1.yaml", "sha256:4"),
        FileDigest("values/stage2-canary.yaml", "sha256:5"),
    ),
    contract_digest="sha256:6",
    upstream_digest=None,
)


@pytest.mark.parametrize(
    "change",
    [
        {"app_id": "other"},
        {"resolved": None},
        {"images": (Image("registry.example/hello", "sha256:9"),)},
        {"images": (Image("registry.example/hello", None), CANDIDATE.images[1])},
        {"chart": None},
        {"chart": FileDigest("charts/hello", "sha256:9")},
        {"values": CANDIDATE.values[:1]},
        {"contract_digest": "sha256:9"},
        {"upstream_digest": "sha256:9"},
    ],
)
def test_every_part_counts(change):
    """Any other image, chart, values file, contract, pin, commit or app is another candidate."""
    assert dataclasses.replace(CANDIDATE, **change).digest != CANDIDATE.digest


@pytest.mark.parametrize("change", [{"mutable": True}, {"dirty": True}, {"source_revision": "git:main"}])
def test_spelling_does_not_count(change):
    """How the revision was spelt, and the state of the work tree, do not make another candidate."""
    assert dataclasses.replace(CANDIDATE, **change).digest == CANDIDATE.digest


def test_order_does_not_count():
    """The order in which images and values are listed does not make another candidate."""
    turned = dataclasses.replace(CANDIDATE, images=CANDIDATE.images[::-1], values=CANDIDATE.values[::-1])
    assert turned.digest == CANDIDATE.digest


def test_short():
    """The short name is the first 12 digits of the digest."""
    assert CANDIDATE.digest.startswith(f"sha256:{CANDIDATE.short}")
    assert len(CANDIDATE.short) == 12


def test_tree_digest_is_written_down():
    """The digest of a tree is that of its sorted lines `path NUL sha256 LF`, so that anyone can recompute it."""
    a, b = (sha256_digest(text).removeprefix("sha256:") for text in (b"A", b"B"))
    assert tree_digest({"b/x": b"B", "a": b"A"}) == sha256_digest(f"a\0{a}\nb/x\0{b}\n".encode())


@given(
    st.dictionaries(st.text(max_size=5), st.binary(max_size=5)), st.text(max_size=5), st.binary(max_size=5)
)
def test_tree_digest_sees_each_file(files, path, content):
    """Adding or changing one file of a tree changes its digest."""
    changed = {**files, path: content}
    assert (tree_digest(changed) == tree_digest(files)) == (changed == files)


def test_canonical_json():
    """Equal values have equal bytes: sorted keys, no spaces, UTF-8; NaN is refused."""
    assert canonical_json({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode()
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.mark.parametrize(
    ("name", "digests", "pinned", "expected"),
    [
        ("i", {}, (), (Image("i", None),)),
        ("i", {"[source] digest": ONE}, (), (Image("i", ONE),)),
        ("i", {"[source] digest": ONE, "--digest": ONE}, (), (Image("i", ONE),)),
        ("i", {"--digest": None}, (Image("i", ONE), Image("j", TWO)), (Image("i", ONE), Image("j", TWO))),
        (None, {}, (Image("j", TWO),), (Image("j", TWO),)),
    ],
)
def test_images(name, digests, pinned, expected):
    """An image has one digest, from whichever place gives it."""
    assert images_of(name, digests, pinned) == expected


@pytest.mark.parametrize(
    ("digests", "pinned"),
    [
        ({"[source] digest": ONE, "--digest": TWO}, ()),
        ({"--digest": TWO}, (Image("i", ONE),)),
        ({}, (Image("i", ONE), Image("i", TWO))),
    ],
)
def test_two_digests_that_differ(digests, pinned):
    """Two places that disagree are a conflict (exit 5), and both are named."""
    with pytest.raises(Conflict, match="Two digests") as caught:
        images_of("i", digests, pinned)
    assert ONE in caught.value.message
    assert TWO in caught.value.message


def test_digest_without_an_image():
    """A digest on the command line that no image could take is a usage error, not ignored."""
    with pytest.raises(Usage, match="no image"):
        images_of(None, {"--digest": ONE}, ())
