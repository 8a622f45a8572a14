"""Languages by any of their usual names: one code for each, ISO 639-1 where it has one."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata

from vceval.errors import UsageError

__all__ = ["language_code", "nearest_language", "same_language"]

#: Code, further codes (ISO 639-2), colon, names. Languages without a code of two letters are those of speech corpora.
_TABLE = """
aa aar: Afar; ab abk: Abkhazian; ae ave: Avestan; af afr: Afrikaans; ak aka: Akan; am amh: Amharic;
an arg: Aragonese; ar ara: Arabic, العربية; as asm: Assamese; av ava: Avaric; ay aym: Aymara; az aze: Azerbaijani;
ba bak: Bashkir; be bel: Belarusian; bg bul: Bulgarian; bh bih: Bihari; bi bis: Bislama; bm bam: Bambara;
bn ben: Bengali, Bangla; bo bod tib: Tibetan; br bre: Breton; bs bos: Bosnian; ca cat: Catalan, Valencian, Català;
ce che: Chechen; ch cha: Chamorro; co cos: Corsican; cr cre: Cree; cs ces cze: Czech;
cu chu: Church Slavic, Church Slavonic; cv chv: Chuvash; cy cym wel: Welsh; da dan: Danish;
de deu ger: German, Deutsch; dv div: Divehi, Dhivehi, Maldivian; dz dzo: Dzongkha; ee ewe: Ewe; el ell gre: Greek;
en eng: English; eo epo: Esperanto; es spa: Spanish, Castilian, Español; et est: Estonian;
eu eus baq: Basque, Euskara; fa fas per: Persian, Farsi; ff ful: Fulah, Fula; fi fin: Finnish, Suomi;
fj fij: Fijian; fo fao: Faroese; fr fra fre: French, Français; fy fry: Western Frisian, Frisian; ga gle: Irish;
gd gla: Gaelic, Scottish Gaelic; gl glg: Galician; gn grn: Guarani; gu guj: Gujarati; gv glv: Manx; ha hau: Hausa;
he heb: Hebrew; hi hin: Hindi, हिन्दी; ho hmo: Hiri Motu; hr hrv: Croatian; ht hat: Haitian, Haitian Creole;
hu hun: Hungarian; hy hye arm: Armenian; hz her: Herero; ia ina: Interlingua; id ind: Indonesian, Bahasa Indonesia;
ie ile: Interlingue, Occidental; ig ibo: Igbo; ii iii: Sichuan Yi, Nuosu; ik ipk: Inupiaq; io ido: Ido;
is isl ice: Icelandic; it ita: Italian, Italiano; iu iku: Inuktitut; ja jpn: Japanese, 日本語; jv jav: Javanese;
ka kat geo: Georgian; kg kon: Kongo; ki kik: Kikuyu, Gikuyu; kj kua: Kuanyama, Kwanyama; kk kaz: Kazakh;
kl kal: Kalaallisut, Greenlandic; km khm: Central Khmer, Khmer; kn kan: Kannada; ko kor: Korean, 한국어;
kr kau: Kanuri; ks kas: Kashmiri; ku kur: Kurdish; kv kom: Komi; kw cor: Cornish; ky kir: Kirghiz, Kyrgyz;
la lat: Latin; lb ltz: Luxembourgish, Letzeburgesch; lg lug: Ganda, Luganda;
li lim: Limburgan, Limburger, Limburgish; ln lin: Lingala; lo lao: Lao; lt lit: Lithuanian; lu lub: Luba-Katanga;
lv lav: Latvian; mg mlg: Malagasy; mh mah: Marshallese; mi mri mao: Maori; mk mkd mac: Macedonian;
ml mal: Malayalam; mn mon: Mongolian; mr mar: Marathi; ms msa may: Malay, Bahasa Melayu; mt mlt: Maltese;
my mya bur: Burmese, Myanmar; na nau: Nauru; nd nde: North Ndebele, Ndebele; ne nep: Nepali, Nepalese;
ng ndo: Ndonga; nl nld dut: Dutch, Flemish, Nederlands; nn nno: Norwegian Nynorsk, Nynorsk;
no nor: Norwegian, Bokmål, Norwegian Bokmål; nr nbl: South Ndebele; nv nav: Navajo, Navaho;
ny nya: Chichewa, Chewa, Nyanja; oc oci: Occitan, Provençal; oj oji: Ojibwa; om orm: Oromo; or ori: Oriya, Odia;
os oss: Ossetian, Ossetic; pa pan: Panjabi, Punjabi; pi pli: Pali; pl pol: Polish, Polski; ps pus: Pushto, Pashto;
pt por: Portuguese, Português; qu que: Quechua; rm roh: Romansh; rn run: Rundi, Kirundi;
ro ron rum: Romanian, Moldavian, Moldovan; ru rus: Russian, Русский; rw kin: Kinyarwanda; sa san: Sanskrit;
sc srd: Sardinian; sd snd: Sindhi; se sme: Northern Sami; sg sag: Sango; si sin: Sinhala, Sinhalese;
sk slk slo: Slovak; sl slv: Slovenian; sm smo: Samoan; sn sna: Shona; so som: Somali; sq sqi alb: Albanian;
sr srp: Serbian; ss ssw: Swati; st sot: Southern Sotho, Sesotho; su sun: Sundanese; sv swe: Swedish, Svenska;
sw swa: Swahili, Kiswahili; ta tam: Tamil; te tel: Telugu; tg tgk: Tajik; th tha: Thai; ti tir: Tigrinya;
tk tuk: Turkmen; tl tgl: Tagalog, Filipino; tn tsn: Tswana; to ton: Tonga; tr tur: Turkish, Türkçe; ts tso: Tsonga;
tt tat: Tatar; tw twi: Twi; ty tah: Tahitian; ug uig: Uighur, Uyghur; uk ukr: Ukrainian; ur urd: Urdu;
uz uzb: Uzbek; ve ven: Venda; vi vie: Vietnamese, Tiếng Việt; vo vol: Volapük; wa wln: Walloon; wo wol: Wolof;
xh xho: Xhosa; yi yid: Yiddish; yo yor: Yoruba; za zha: Zhuang, Chuang;
zh zho chi: Chinese, Mandarin, Mandarin Chinese, Putonghua, 中文, 汉语, 漢語, 普通话; zu zul: Zulu;
ast: Asturian, Asturleonese; bar: Bavarian; bho: Bhojpuri; ceb: Cebuano;
ckb: Central Kurdish, Sorani; dsb: Lower Sorbian; fur: Friulian; gsw: Swiss German, Schwyzerdütsch;
hak: Hakka, Hakka Chinese; haw: Hawaiian; hsb: Upper Sorbian; ilo: Iloko, Ilocano; kab: Kabyle; kam: Kamba;
kea: Kabuverdianu; kok: Konkani; lij: Ligurian; lmo: Lombard; luo: Luo, Dholuo; mag: Magahi; mai: Maithili;
mni: Manipuri; nan: Min Nan, Hokkien, Taiwanese; nap: Neapolitan; nds: Low German, Low Saxon;
nso: Northern Sotho, Sepedi; pms: Piedmontese; sah: Yakut, Sakha; sat: Santali; scn: Sicilian; sco: Scots;
tlh: Klingon; tok: Toki Pona; umb: Umbundu; vec: Venetian; war: Waray; wuu: Wu, Wu Chinese, Shanghainese;
yue: Cantonese, 粤语, 粵語, 廣東話; zgh: Tamazight
"""
#: Codes that stand for another one: members of macrolanguages, codes given up, countries written for languages.
_OTHERS = """
ar: arb acm aeb afb apc ary arz; az: azj; cs: cz; da: dk; el: gr; en: us gb; es: esp; et: ekk; fa: pes prs ir;
he: iw il; id: in; ja: jp jap; jv: jw; ko: kr; ku: kmr; lv: lvs; mg: plt; mn: khk; ms: zsm; ne: npi; no: nb nob;
om: gaz; or: ory; ps: pbt pbu; ro: mo mol; sq: als; sr: sh scc hbs; hr: scr; sw: swh; tl: fil; uk: ua; uz: uzn; vi: vn;
yi: ji ydd; zh: cn cmn chn
"""
#: What says that no language is named.
_NONE = frozenset(
    {"und", "mis", "mul", "zxx", "qaa", "unknown", "undetermined", "none", "other", "multilingual", "auto"}
)
#: Words that may stand with a name without making it another language's.
_BESIDE = frozenset([
    "american", "australian", "austrian", "brazil", "brazilian", "british", "canadian", "castilian", "continental",
    "european", "france", "gb", "india", "indian", "international", "language", "latin", "mainland", "mexican",
    "modern", "native", "peninsular", "portugal", "simplified", "spain", "speech", "spoken", "standard", "swiss",
    "taiwan", "traditional", "uk", "us", "usa",
])  # fmt: skip


def language_code(tag: str) -> str:
    """Reduce a language tag, code or name to one code: ``en-GB``, ``eng`` and ``English`` give ``en``.

    Understood are BCP 47 tags (``zh-Hant-TW``, ``pt_BR``, ``zh-yue``), codes of ISO 639-1, 639-2 and 639-3, English
    names, some names in the language itself, and common mistakes (``cn``, ``jp``, ``kr``). Members of a macrolanguage
    go by its code (``cmn`` gives ``zh``, ``nb`` gives ``no``), but Cantonese is ``yue``. A code of three letters that
    is not known here stays as it is: ISO 639-3 has some 8,000. ``kr`` is Korean here, Kanuri is ``kau``.

    Raises:
        UsageError: the tag names no language that is known; the nearest one is named.

    Source: ISO 639; RFC 5646 (BCP 47); aliases of Unicode CLDR.
    """
    found = _code(tag)
    if found:
        return found
    if _plain(tag) in _NONE or not tag.strip():
        raise UsageError(f"language {tag!r} names no language; give a code such as en, zh or pt-BR")
    raise UsageError(f"unknown language {tag!r}{nearest_language(tag)}; give a code such as en, zh or pt-BR")


def same_language(first: str, second: str) -> bool:
    """Whether two tags name one language; tags that name none are the same where they read the same."""
    return (_code(first) or first) == (_code(second) or second)


def nearest_language(tag: str) -> str:
    """Name the language whose name or code is nearest: ``; did you mean 'german' (de)?``; empty where none is near."""
    names = _names()
    near = difflib.get_close_matches(_plain(tag), [name for name in names if len(name) > 3], 1, 0.7)
    return f"; did you mean {near[0]!r} ({names[near[0]]})?" if near else ""


def _code(tag: str) -> str:
    names, plain = _names(), _plain(tag)
    if plain in _NONE:
        return ""
    if plain in names:
        return names[plain]
    first, *rest = re.split(r"[-_]", re.split(r"[.@]", tag.strip().lower())[0])
    if re.fullmatch(r"[a-z]{2,3}", first) and all(re.fullmatch(r"[a-z0-9]{1,8}", part) for part in rest):
        code = names.get(first, first if len(first) == 3 and first not in _NONE else "")
        for extension in rest[:2]:  # zh-yue, zh-min-nan
            if len(extension) == 3 and extension in names and names[extension] != code and code in ("ar", "zh"):
                return names[extension]
        if code:
            return code
    words = [word for word in re.split(r"[^\w]+", plain) if word]
    named = {names[word] for word in words if len(word) > 3 and word in names and word not in _BESIDE}
    strange = [word for word in words if word not in names and word not in _BESIDE]
    return named.pop() if len(named) == 1 and not strange else ""


def _plain(text: str) -> str:
    """Lower case, without accents, one blank between words."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(letter for letter in letters if not ("\u0300" <= letter <= "\u036f"))
    return " ".join(unicodedata.normalize("NFKC", kept).replace("_", " ").split())


@functools.cache
def _names() -> dict[str, str]:
    found: dict[str, str] = {}
    for row in " ".join(_TABLE.split()).split("; "):
        codes, _, names = row.partition(": ")
        for name in (*codes.split(), *names.split(", ")):
            found[_plain(name)] = codes.split()[0]
    for row in " ".join(_OTHERS.split()).split("; "):
        code, _, others = row.partition(": ")
        found.update(dict.fromkeys(others.split(), code))
    return found
