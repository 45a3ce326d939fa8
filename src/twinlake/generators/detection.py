"""Which columns look personal, by the words of their names and the patterns of their values.

Only suggestions for `twinlake init`: a person decides. A column name must *end* in telling words (`billing address`,
not `address id`); values count where nine in ten of them have the pattern. Nothing here returns or logs a value.
"""

import ipaddress
import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from twinlake.types import ENUM

_SHARE = 0.9
_SAMPLE = 1000


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(p.split()) for p in text.split(","))


_ENDINGS: dict[str, tuple[str, ...]] = {
    "email": _phrases("""
        email, e mail, mail, email address, mail address, e mail address, correo, correo electronico, courriel,
        adresse email, mailadresse, emailadresse
    """),
    "ip": _phrases("ip, ip address, ip addr, ipv4, adresse ip, ip adresse, direccion ip, remote addr"),
    "url": _phrases("homepage, personal website, website url, profile url, linkedin, blog url"),
    "iban": _phrases("iban, iban number"),
    "credit_card": _phrases("""
        credit card, credit card number, card number, cc number, creditcard, kreditkarte, kreditkartennummer, numero
        de carte, numero carte, numero de tarjeta, numero tarjeta
    """),
    "ssn": _phrases("""
        ssn, social security, social security number, social security no, sozialversicherungsnummer, numero securite
        sociale, numero de securite sociale, seguridad social
    """),
    "pattern": _phrases("""
        passport, passport number, passport no, national id, national id number, tax id, tax number, steuernummer,
        personalausweis, passnummer, numero de passeport, dni, nif, curp, driver license, drivers license, license
        plate, driver licence, medical record number, mrn, ahv nummer, krankenkassennummer
    """),
    "phone": _phrases("""
        phone, phone number, phone no, telephone, telephone number, mobile phone, mobile number, cell phone,
        cellphone, tel, telefon, telefonnummer, handy, handynummer, fax, fax number, telefax, faxnummer, numero de
        telephone, portable, telefono, numero de telefono, movil, mobilnummer
    """),
    "username": _phrases("""
        username, user name, login name, benutzername, nom utilisateur, nom d utilisateur, nombre de usuario, screen
        name, nickname
    """),
    "first_name": _phrases("""
        first name, firstname, given name, given names, forename, vorname, vornamen, prenom, prenoms, primer nombre,
        nombre de pila, name first, name given, fname, middle name, middlename
    """),
    "last_name": _phrases("""
        last name, lastname, surname, family name, familyname, nachname, familienname, nom de famille, apellido,
        apellidos, name last, lname, maiden name, geburtsname
    """),
    "full_name": _phrases("""
        full name, fullname, person name, customer name, client name, patient name, employee name, contact name,
        student name, member name, display name, vollname, nom complet, nombre completo, name full, cardholder name,
        cardholder, kontoinhaber, account holder
    """),
    "street": _phrases("street, street name, strasse, straße, rue, calle"),
    "address": _phrases("""
        address, street address, home address, address line, addr, adresse, anschrift, direccion, domicilio,
        wohnadresse
    """),
    "postcode": _phrases("""
        postcode, post code, postal code, postalcode, zip, zip code, zipcode, plz, postleitzahl, code postal, codigo
        postal
    """),
}  # fmt: skip
_GLUED = re.compile(
    r"^(billing|shipping|home|work|mailing|delivery|contact|ship|bill)(address|postalcode|zipcode|phone|email|street)$"
)
_PEOPLE = set(_phrases("""
    applicant, applicants, author, authors, client, clientes, clients, contact, contacts, customer, customers,
    empleados, employee, employees, employes, kunde, kunden, member, members, mitarbeiter, pacientes, patient,
    patienten, patients, people, person, personas, personen, personnes, persons, staff, student, students, subject,
    subjects, teacher, teachers, user, users
"""))  # fmt: skip
_NAMES_ALONE = {"name", "nom", "nombre", "namen"}
_PROSE = set(_phrases("""
    bemerkung, bemerkungen, comentario, comentarios, comment, commentaire, commentaires, comments, feedback,
    kommentar, message, note, notes, notizen, remark, remarks, review
"""))  # fmt: skip
_NOT_A_PERSON = re.compile(
    r"\b(university|college|school|institute|inc|ltd|llc|gmbh|ag|corp|company|bank|airlines?|airways|hospital|club"
    r"|of|the|and|&)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(r"^[^\W\d_][\w.'’-]*(,? [^\W\d_][\w.'’-]*){1,4}$")


def detect(name: str, values: pa.Array | pa.ChunkedArray | None, *, table: str = "") -> str | None:
    """The provider that suits a column which looks personal, or None.

    Args:
        name: the column's name.
        values: some or all of its values, of any type; None where only the name is known.
        table: the table's name: a bare `name` is a person's in `customers`, not in `airports`.
    """
    sample = None if values is None else _sample(values)
    by_name = _by_name(_words(name), _words(table))
    if sample is None or not len(sample):
        return None if by_name == "text" else by_name
    if not _may_be_text(sample.type):
        number = pa.types.is_integer(sample.type) and by_name in ("phone", "ssn", "credit_card", "postcode", "pattern")
        return by_name if number else None
    texts = [t for t in sample.cast(pa.string()).to_pylist() if t]
    by_value = _by_value(texts)
    if by_value is not None:
        return by_value
    return by_name if by_name is not None and _plausible(by_name, texts) else None


def _by_name(words: list[str], table: list[str]) -> str | None:
    while words and words[-1].isdigit():
        words = words[:-1]
    phrase = " ".join(words)
    fitting = [e for ends in _ENDINGS.values() for e in ends if f" {phrase}".endswith(f" {e}")]
    ending = max(fitting, key=len, default=None)
    if ending is not None:
        return next(provider for provider, ends in _ENDINGS.items() if ending in ends)
    if len(words) == 1 and (glued := _GLUED.match(words[0])):
        return {"postalcode": "postcode", "zipcode": "postcode"}.get(glued[2], glued[2])
    if len(words) == 1 and words[0] in _NAMES_ALONE and _PEOPLE.intersection(table):
        return "full_name"
    return "text" if words and words[-1] in _PROSE else None


def _by_value(texts: list[str]) -> str | None:
    for provider, matches in _PATTERNS.items():
        if texts and sum(map(matches, texts)) >= _SHARE * len(texts):
            return provider
    return "text" if _is_prose(texts, words=8.0) else None


def _plausible(provider: str, texts: list[str]) -> bool:
    if provider == "full_name":
        return sum(bool(_PERSON.match(t)) and not _NOT_A_PERSON.search(t) for t in texts) >= _SHARE * len(texts)
    if provider == "text":
        return _is_prose(texts, words=4.0)
    if provider in ("phone", "credit_card", "ssn", "postcode", "pattern"):
        return sum(any(c.isdigit() for c in t) for t in texts) >= 0.5 * len(texts)
    return True


def _is_prose(texts: list[str], *, words: float) -> bool:
    if not texts:
        return False
    spoken = sum(len(t.split()) for t in texts) / len(texts)
    return spoken >= words and len(set(texts)) >= 0.5 * len(texts)


def _words(name: str) -> list[str]:
    """`billingAddress_2` as billing, address, 2."""
    apart = re.sub(r"(?<=[a-zäöüß])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)", " ", name)
    plain = apart.lower().translate(str.maketrans("áàâéèêëíîïóôúûçñ", "aaaeeeeiiioouucn"))
    found = re.findall(r"[^\W_]+", plain)
    return found if plain.strip() not in ("ipv 4", "ipv4") else ["ipv4"]


def _sample(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    present = values.drop_null()
    step = max(len(present) // _SAMPLE, 1)
    taken = present.take(pa.array(range(0, len(present), step), pa.int64()))
    array = taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken
    return pc.cast(array, pa.string()) if array.type == ENUM else array


def _may_be_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _is_iban(text: str) -> bool:
    """ISO 13616: the number read with its letters as two digits leaves 1 when divided by 97."""
    bare = text.replace(" ", "").upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{10,30}", bare):
        return False
    return int("".join(str(int(c, 36)) for c in bare[4:] + bare[:4])) % 97 == 1


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: 13 to 19 digits whose last is the Luhn check digit."""
    bare = re.sub(r"[ -]", "", text)
    if not re.fullmatch(r"[2-6]\d{12,18}", bare):
        return False
    doubled = [int(d) if i % 2 == 0 else int(d) * 2 - 9 * (d > "4") for i, d in enumerate(reversed(bare))]
    return sum(doubled) % 10 == 0


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_phone(text: str) -> bool:
    digits = sum(c.isdigit() for c in text)
    return bool(re.fullmatch(r"(\+|00|\()[\d\s().+/-]{6,22}|\d{3}[-. ]\d{3}[-. ]\d{4}", text)) and 7 <= digits <= 15


_PATTERNS: dict[str, Callable[[str], bool]] = {
    "email": lambda t: bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", t)),
    "url": lambda t: bool(re.match(r"https?://\S+$", t)),
    "ip": _is_ip,
    "iban": _is_iban,
    "credit_card": _is_card,
    "ssn": lambda t: bool(re.fullmatch(r"\d{3}-\d{2}-\d{4}", t)),
    "phone": _is_phone,
}
