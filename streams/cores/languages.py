"""Languages as films tag them: the three letters of ISO 639-2 for the two of ISO 639-1, and back."""

from __future__ import annotations

from typing import Final

from streams.cores.blurb import language_of

_TABLE: Final = (
    "af:afr am:amh ar:ara az:aze be:bel bg:bul bn:ben bs:bos ca:cat cs:ces/cze cy:cym/wel da:dan de:deu/ger el:ell/gre "
    "en:eng eo:epo es:spa et:est eu:eus/baq fa:fas/per fi:fin fo:fao fr:fra/fre fy:fry ga:gle gd:gla gl:glg gu:guj "
    "ha:hau he:heb hi:hin hr:hrv hu:hun hy:hye/arm id:ind ig:ibo is:isl/ice it:ita ja:jpn jv:jav ka:kat/geo kk:kaz "
    "km:khm kn:kan ko:kor ku:kur ky:kir la:lat lb:ltz lo:lao lt:lit lv:lav mg:mlg mi:mri/mao mk:mkd/mac ml:mal mn:mon "
    "mr:mar ms:msa/may mt:mlt my:mya/bur nb:nob ne:nep nl:nld/dut nn:nno no:nor ny:nya pa:pan pl:pol ps:pus pt:por "
    "ro:ron/rum ru:rus rw:kin sd:snd si:sin sk:slk/slo sl:slv sm:smo sn:sna so:som sq:sqi/alb sr:srp st:sot su:sun "
    "sv:swe sw:swa ta:tam te:tel tg:tgk th:tha tk:tuk tl:tgl tr:tur tt:tat uk:ukr ur:urd uz:uzb vi:vie xh:xho yi:yid "
    "yo:yor zh:zho/chi zu:zul"
)
"""Where there are two, the first is that of MP4 (639-2/T), the other that of Matroska (639-2/B)."""
_THREE: Final = {entry[:2]: entry[3:].split("/") for entry in _TABLE.split()}
_TWO: Final = {three: two for two, threes in _THREE.items() for three in threes}


def three_letters(locale: str | None, *, matroska: bool = False) -> str:
    """What a track in a locale is tagged with: "deu" for "de-AT"; "und" where there is no such code.

    >>> three_letters("de-AT"), three_letters("de", matroska=True), three_letters("xx"), three_letters(None)
    ('deu', 'ger', 'und', 'und')
    """
    language = language_of(locale)
    if len(language) == 3 and language.isascii() and language.isalpha():
        return language
    return _THREE.get(language, ["und"])[-1 if matroska else 0]


def two_letters(tag: str | None) -> str:
    """The language of a track's tag or of a locale: "de" for "deu", "ger" and "de-AT"; empty where nobody says.

    >>> two_letters("ger"), two_letters("de-AT"), two_letters("und"), two_letters("")
    ('de', 'de', '', '')
    """
    language = language_of(tag)
    return "" if language == "und" else _TWO.get(language, language)
