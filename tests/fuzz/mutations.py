"""Odd inputs, each a pure function of a seed."""

import random

ODD = (
    *(
        "",
        " ",
        ",",
        ":",
        "@",
        "-",
        "--",
        "/",
        "..",
        "(",
        ")",
        "()",
        "|",
        "~",
        "+",
        "*",
        "?",
        "\n",
        "\t",
        "\\",
        "'",
        '"',
    ),
    *(
        "0",
        "-1",
        "1e9",
        "nan",
        "inf",
        "-inf",
        "1_000",
        "٣",
        "0x10",
        "1" * 40,
        "None",
        "True",
        "[]",
        "{}",
        "all",
        "none",
    ),
    *("ä", "🙂", "\u202e", "x" * 300, "(" * 400, "a=1", "**{}", "%s", "${HOME}", "{0}", "top:1@", "a,b", "a(b=1,b=2)"),
)


def text(draw: random.Random, examples: tuple[str, ...]) -> str:
    """An example with a few changes, or something odd."""
    if draw.random() < 0.15:
        return draw.choice(ODD)
    letters = list(draw.choice(examples))
    for _ in range(draw.randint(1, 4)):
        place = draw.randint(0, len(letters))
        change = draw.randint(0, 4)
        if change == 0 and letters:
            del letters[place - 1]
        elif change == 1:
            letters.insert(place, draw.choice(ODD))
        elif change == 2 and letters:
            letters[place - 1] = draw.choice("abcxyz0189|~+-_,:()=.# /")
        elif change == 3:
            letters[place:place] = letters[: draw.randint(0, 12)]
        else:
            other = draw.choice(examples)
            letters[place:] = other[draw.randint(0, len(other)) :]
    return "".join(letters)


def damaged(draw: random.Random, content: bytes) -> bytes:
    """Bytes of a file that was cut, overwritten in places, lengthened, or is another one."""
    kind, changed = draw.randint(0, 5), bytearray(content)
    if kind == 0:
        return content[: draw.randint(0, len(content))]
    if kind == 1:
        return draw.randbytes(draw.randint(0, 200))
    if kind == 2:
        start = draw.randint(0, len(content))
        return content[:start] + draw.randbytes(draw.randint(1, 50)) + content[start:]
    for _ in range(draw.randint(1, 8) if changed else 0):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def value(draw: random.Random, depth: int = 2) -> object:
    """Something that JSON can hold."""
    plain = draw.choice([None, True, False, 0, -1, 1 << 70, 1.5, "", "x", "ok", "nasbench201", "9" * 300])
    if depth == 0 or draw.random() < 0.6:
        return plain
    if draw.random() < 0.5:
        return [value(draw, depth - 1) for _ in range(draw.randint(0, 3))]
    return {
        draw.choice(["", "a", "name", "proxy", "format"]): value(draw, depth - 1) for _ in range(draw.randint(0, 3))
    }


def altered(draw: random.Random, content: object) -> object:
    """JSON with one value somewhere in it taken out, or another one in its place."""
    if isinstance(content, dict) and content and draw.random() < 0.85:
        key = draw.choice(list(content))
        if draw.random() < 0.15:
            return {name: part for name, part in content.items() if name != key}
        return {**content, key: altered(draw, content[key])}
    if isinstance(content, list) and content and draw.random() < 0.8:
        place = draw.randrange(len(content))
        return [altered(draw, part) if number == place else part for number, part in enumerate(content)]
    return value(draw)
