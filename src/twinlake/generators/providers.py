"""What personal columns are filled with: for each provider's name the space of its fakes in a locale.

Words come from mimesis; addresses on the internet end in names reserved for examples (RFC 2606), card and bank
numbers carry right check digits, social security numbers are of a range that is never issued.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from twinlake.errors import GeneratorError, listed, nearest
from twinlake.generators.masks import Mask, Masks
from twinlake.generators.spaces import MaskSpace, Space, WordSpace
from twinlake.hashing import Hashes, mix
from twinlake.random import stream

_POOL = 2000  # distinct words asked of mimesis for each list
_FEWEST = 10  # a list with fewer words is filled up with made-up ones
_DOMAINS = ("example.com", "example.net", "example.org")
_IBAN = {  # ISO 13616: country and how many digits follow the check digits, where all are digits
    "at": ("AT", 16), "be": ("BE", 12), "ch": ("CH", 17), "cs": ("CZ", 20), "da": ("DK", 14), "de": ("DE", 18),
    "es": ("ES", 20), "et": ("EE", 16), "fi": ("FI", 14), "fr": ("FR", 23), "hr": ("HR", 17), "hu": ("HU", 24),
    "no": ("NO", 11), "pl": ("PL", 24), "pt": ("PT", 21), "sk": ("SK", 20), "sv": ("SE", 20),
}  # fmt: skip

Make = Callable[[Any], str]
"""Makes one fake with a mimesis `Generic`."""


def check_locale(locale: str) -> None:
    """Raise GeneratorError for a locale that the provider library does not know."""
    from mimesis.locales import Locale

    known = [entry.value for entry in Locale]
    if locale not in known:
        raise GeneratorError(
            f'there is no locale "{locale}"',
            allowed=f"locales are {listed(known, most=60)}",
            fix=nearest(locale, known),
        )


def check_provider(provider: str, *, where: str) -> None:
    """Raise GeneratorError for a provider that is not there."""
    if provider not in PROVIDERS:
        fix = nearest(provider, PROVIDERS)
        raise GeneratorError(
            f'there is no provider "{provider}"',
            where=where,
            allowed=f"providers are {listed(PROVIDERS, most=40)}",
            fix=fix,
        )


@lru_cache(maxsize=64)
def space_of(provider: str, locale: str, seed: int) -> Space:
    """The fakes of a provider; the same for the same seed."""
    return PROVIDERS[provider](locale, seed)


def words(locale: str, seed: int, make: Make, *, allowed: str = r".+", most: int = _POOL) -> pa.Array:
    """Distinct fakes that match `allowed`, at most `most`, filled up with made-up words where there are few."""
    from mimesis import Generic
    from mimesis.locales import Locale

    generic = Generic(Locale(locale), seed=seed % (1 << 32))
    found = dict.fromkeys(word for word in (make(generic).strip("* ") for _ in range(2 * most)) if word)
    fitting = [w for w in found if re.fullmatch(allowed, w)][:most]
    return pa.array(
        fitting if len(fitting) >= _FEWEST else [*fitting, *made_up(50, stream(seed, "made up"))], pa.string()
    )


def made_up(n: int, rng: np.random.Generator) -> list[str]:
    """Distinct words that can be spoken and mean nothing."""
    found: dict[str, None] = {}
    while len(found) < n:
        pairs = [rng.choice(list("bdfgklmnprstvz")) + rng.choice(list("aeiou")) for _ in range(rng.integers(2, 5))]
        found["".join(pairs).capitalize()] = None
    return list(found)


@dataclass(frozen=True, slots=True)
class DigitSpace:
    """Numbers of fixed width with something computed around them: cards, bank accounts, addresses of computers."""

    size: int
    write: Callable[[int], str]

    def at(self, numbers: Hashes) -> pa.Array:
        """The text of each number; beyond the space they repeat."""
        return pa.array([self.write(int(n) % self.size) for n in numbers], pa.string())

    def pick(self, chances: Hashes) -> pa.Array:
        """The text of each hash."""
        return self.at(chances)


@dataclass(frozen=True, slots=True)
class UuidSpace:
    """Random UUIDs (RFC 9562, version 4) from a seed and a number."""

    seed: int
    size: int = 1 << 62

    def at(self, numbers: Hashes) -> pa.Array:
        """The UUID of each number as text."""
        hexes = [raw.hex() for raw in uuids(self.seed, numbers)]
        return pa.array([f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}" for h in hexes], pa.string())

    def pick(self, chances: Hashes) -> pa.Array:
        """The UUID of each hash."""
        return self.at(chances)


def uuids(seed: int, numbers: Hashes) -> list[bytes]:
    """16 bytes for each number: a version 4 UUID (RFC 9562), different for different numbers."""
    salt = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    low = mix(numbers ^ salt)  # one to one, so 62 of its bits and the two below keep the numbers apart
    high = mix(mix(numbers + salt) ^ np.uint64(0xD1B54A32D192ED03))
    top = low >> np.uint64(62)
    high = (high & np.uint64(0xFFFFFFFFFFFF0FFC)) | np.uint64(0x4000) | top
    low = (low & np.uint64(0x3FFFFFFFFFFFFFFF)) | np.uint64(0x8000000000000000)
    pairs = np.stack([high, low], axis=1).astype(">u8").tobytes()
    return [pairs[i : i + 16] for i in range(0, len(pairs), 16)]


def _full_name(locale: str, seed: int) -> Space:
    first = words(locale, seed, lambda g: g.person.first_name(), allowed=r"\D+")
    return WordSpace((first, words(locale, seed + 1, lambda g: g.person.last_name(), allowed=r"\D+")))


def _local_part(g: Any) -> str:  # noqa: ANN401 - mimesis is untyped here
    return str(g.person.username(mask="l_d"))


def _email(locale: str, seed: int) -> Space:
    local = words(locale, seed, _local_part, allowed=r"[a-z0-9_]+")
    return WordSpace((local, pa.array(_DOMAINS)), between="@", before=".", counted_part=0)


def _username(locale: str, seed: int) -> Space:
    return WordSpace((words(locale, seed, _local_part, allowed=r"[a-z0-9_]+"),), before=".")


def _url(locale: str, seed: int) -> Space:
    host = words(locale, seed, lambda g: f"https://www.{g.text.word()}", allowed=r"https://www\.[a-z]+")
    return WordSpace((host, pa.array(_DOMAINS)), between=".", before="-", counted_part=0)


def _text(locale: str, seed: int) -> Space:
    sentence = words(locale, seed, lambda g: g.text.sentence(), most=300)
    return WordSpace((sentence, sentence, sentence))


def _plain(make: Make, allowed: str = r".*\D") -> Callable[[str, int], Space]:
    return lambda locale, seed: WordSpace((words(locale, seed, make, allowed=allowed),))


def _shaped(make: Make) -> Callable[[str, int], Space]:
    """Texts of the shapes that mimesis' fakes have, far more of them than it would make."""

    def space(locale: str, seed: int) -> Space:
        masks = Masks.learn(words(locale, seed, make, most=1000), None, 10)
        assert masks is not None  # a thousand fakes of one locale share their shapes
        return MaskSpace(masks)

    return space


def _ssn(_locale: str, _seed: int) -> Space:
    places = ("=9", "9", "9", "=-", "=0", "9", "=-", "9", "9", "9", "9")  # 9xx-0x is never issued
    return MaskSpace(Masks((Mask(places, 1.0),)))


def _ip(_locale: str, _seed: int) -> Space:
    first = [n for n in range(1, 224) if n not in (10, 100, 127, 169, 172, 192, 198, 203)]  # none of special use
    return DigitSpace(len(first) << 24, lambda n: f"{first[n >> 24]}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}")


def _credit_card(_locale: str, _seed: int) -> Space:
    return DigitSpace(10**14, _card)


def _card(number: int) -> str:
    digits = f"4{number:014d}"
    return digits + str(-sum(_doubled(int(d)) if i % 2 == 0 else int(d) for i, d in enumerate(digits)) % 10)


def _doubled(digit: int) -> int:
    return digit * 2 - 9 if digit > 4 else digit * 2


def _iban(locale: str, _seed: int) -> Space:
    country, width = _IBAN.get(locale.split("-")[-1]) or _IBAN.get(locale.split("-")[0]) or _IBAN["de"]
    letters = "".join(str(ord(c) - 55) for c in country)

    def write(number: int) -> str:
        account = _account(number, width)
        return f"{country}{98 - int(f'{account}{letters}00') % 97:02d}{account}"

    return DigitSpace(10 ** min(width, 17), write)


def _account(number: int, width: int) -> str:
    """`width` digits that hold `number` in the last 17 and depend on it in the others."""
    rest = width - min(width, 17)
    head = f"{int(mix(np.array([number], dtype=np.uint64))[0]) % 10**rest:0{rest}d}" if rest else ""
    return f"{head}{number:0{min(width, 17)}d}"


PROVIDERS: dict[str, Callable[[str, int], Space]] = {
    "full_name": _full_name,
    "first_name": _plain(lambda g: str(g.person.first_name()), r"\D+"),
    "last_name": _plain(lambda g: str(g.person.last_name()), r"\D+"),
    "email": _email,
    "username": _username,
    "phone": _shaped(lambda g: str(g.person.phone_number())),
    "address": _plain(lambda g: str(g.address.address()), r".*"),
    "street": _plain(lambda g: str(g.address.street_name())),
    "city": _plain(lambda g: str(g.address.city())),
    "postcode": _shaped(lambda g: str(g.address.postal_code())),
    "country": _plain(lambda g: str(g.address.country())),
    "company": _plain(lambda g: str(g.finance.company())),
    "job": _plain(lambda g: str(g.person.occupation())),
    "url": _url,
    "ip": _ip,
    "iban": _iban,
    "credit_card": _credit_card,
    "ssn": _ssn,
    "text": _text,
    "uuid": lambda _locale, seed: UuidSpace(seed),
    "pattern": lambda _locale, _seed: MaskSpace(Masks((Mask(("A",) * 4 + ("9",) * 6, 1.0),))),
}
