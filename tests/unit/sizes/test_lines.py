"""Lines of a Dockerfile and the layers they made, by histories as builders really write them."""

from __future__ import annotations

import pytest
from small_images import of

from tinyship.sizes import image, lines
from tinyship.sizes.advice import advise
from tinyship.sizes.packages import find


def layers(text: str, *history: str, base: int = 0) -> dict[int, tuple[int, ...]]:
    """What lines made what layers of an image with this history."""
    account = of(*({} for _ in history), says=[image.instruction(said) for said in history])
    return dict(lines.layers(text, account.image, base=base))


@pytest.mark.parametrize(
    ("text", "history"),
    [
        ("RUN echo a", "RUN /bin/sh -c echo a # buildkit"),
        ("run echo a", "/bin/sh -c echo a"),
        ("RUN a && \\\n    # why\n\n    b", "RUN /bin/sh -c a &&     b # buildkit"),
        ("RUN --mount=type=cache,target=/c --network=none \\\n  echo   a", "RUN /bin/sh -c echo   a # buildkit"),
        ("RUN echo $A", "RUN |2 A=b c B=1 /bin/sh -c echo $A # buildkit"),
        ('RUN ["sh", "-c", "echo b"]', "RUN sh -c echo b # buildkit"),
        ('RUN ["sh", "-c", "echo b"]', "sh -c echo b"),
        ('RUN ["sh", "-c", "echo b"]', "RUN |1 A=1 sh -c echo b # buildkit"),
        ('RUN ["sh", "-c", "echo b"]', '|1 A=1 /bin/sh -c ["sh", "-c", "echo b"]'),
        ("RUN echo f", "RUN /bin/bash -o pipefail -c echo f # buildkit"),
        ("RUN echo f", "RUN |1 A=1 /bin/sh -e -c echo f # buildkit"),
        ("RUN <<EOT\necho c\necho d\nEOT", "RUN /bin/sh -c echo c\necho d\n # buildkit"),
        ("RUN <<-'EOT' cat > /e\n\thello\n\tEOT", "RUN /bin/sh -c <<-'EOT' cat > /e\n\thello\nEOT # buildkit"),
        ("COPY --chown=1 a b/", "COPY a b/ # buildkit"),
        ("COPY --chmod=700 --from=x a b/", "COPY --chmod=700 --from=x a b/ # buildkit"),
        ("COPY a b /opt/", "/bin/sh -c #(nop) COPY multi:0123 in /opt/ "),
        ('ADD ["a b", "c"]', "ADD a b c # buildkit"),
        ("RUN echo a ", "RUN /bin/sh -c echo a\t# buildkit"),
    ],
)
def test_forms(text: str, history: str) -> None:
    """Continuations, comments, flags, arguments, exec forms, shells and here-documents are seen through."""
    text = text.replace("\tEOT", "EOT")
    assert layers(f"FROM x\n\n{text}\nCMD x\n", history) == {3: (0,)}


@pytest.mark.parametrize("text", ["RUN echo", "RUN [bad", "RUN [1]", "RUN <<EOT\nnever ends", "RUN", "", "\0", "COPY"])
def test_what_the_history_does_not_have(text: str) -> None:
    """What is not in the image has no layer; nothing that a Dockerfile may say is trouble."""
    assert layers(f"FROM x\n{text}", "RUN /bin/sh -c echo a # buildkit", "") == {}


def test_layers_of_the_base_are_not_this_dockerfiles() -> None:
    """The same RUN in the base image is another Dockerfile's."""
    assert layers("FROM x\nRUN a", "RUN a", "RUN a", base=1) == {2: (1,)}


def test_advice_has_its_line() -> None:
    """Advice says which line it is about; of lines that are alike, the last."""
    account = of({}, {"tmp/x": b"1"}, {"tmp/y": b"22"}, says=["ADD x", "RUN a", "RUN b"])
    found = lines.layers("FROM x\nRUN a\nFROM y\nRUN a\nRUN c", account.image)
    placed = lines.placed(advise(account, find(account)), found)
    assert [(one.layer, one.line) for one in placed] == [(2, None), (1, 4)]
