"""Text regardless of how it is spelt: case, accents, spaces and punctuation; and what else a kind of text may vary in.

Two spellings of one name, address or number have one plain form. Who makes fakes and who judges them share it, so that
what the one keeps away from is what the other looks for.
"""

import pyarrow as pa
import pyarrow.compute as pc

_AT = r"\s*[\(\[\{<]\s*(?:at|@)\s*[\)\]\}>]\s*"
_DOT = r"\s*[\(\[\{<]\s*(?:dot|\.)\s*[\)\]\}>]\s*"
_NATIONAL = 9  # last digits of a phone number: without the country's code, 0041 or +41 or 0


def words(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The words of each text, one space between them: in lower case, without accents or punctuation.

    Compatible characters are one (Unicode NFKD): full-width and half-width forms, ligatures, circled digits.
    """
    text = pc.utf8_lower(pc.utf8_normalize(as_text(values), form="NFKD"))
    text = pc.replace_substring_regex(pc.replace_substring(text, "ß", "ss"), r"\p{M}+", "")
    return pc.utf8_trim(pc.replace_substring_regex(text, r"[^\p{L}\p{N}]+", " "), " ")


def plain(values: pa.Array | pa.ChunkedArray, provider: str | None = None) -> pa.Array:
    """The letters and digits of each text, null where it has none.

    What a provider's values vary in besides is left out too: an e-mail's tag and its hidden `@`, the order of a full
    name, a phone number's country code, a URL's scheme and `www`.

    Args:
        values: text, an enum or whole numbers.
        provider: what kind of personal value they are, as in `Column.provider`.
    """
    text = as_text(values)
    if provider == "email":
        text = pc.replace_substring_regex(pc.replace_substring_regex(text, f"(?i){_AT}", "@"), f"(?i){_DOT}", ".")
        text = pc.replace_substring_regex(text, r"\+[^@]*@", "@")
    if provider == "url":
        text = pc.replace_substring_regex(text, r"(?i)^\s*(?:[a-z]+://)?(?:www\.)?", "")
    text = words(text)
    if provider == "full_name":
        text = pa.array([None if t is None else "".join(sorted(t.split())) for t in text.to_pylist()], pa.string())
    text = pc.replace_substring(text, " ", "")
    if provider == "phone":
        text = _national(text)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def as_text(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Text, an enum or numbers as one array of text."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    array = array.storage if isinstance(array, pa.ExtensionArray) else array
    return array if array.type == pa.string() else array.cast(pa.string())


def _national(text: pa.Array) -> pa.Array:
    digits = pc.replace_substring_regex(text, r"\D", "")
    return pc.if_else(pc.equal(digits, ""), text, pc.utf8_slice_codeunits(digits, -_NATIONAL))
