"""What people and things of a country are called: "German" of Germany. A closed class, in English."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES = """
afghan Afghanistan; albanian Albania; algerian Algeria; american USA|United States|United States of America|US;
argentine Argentina; argentinian Argentina; armenian Armenia; australian Australia; aussie Australia; austrian Austria;
azerbaijani Azerbaijan; bangladeshi Bangladesh; belarusian Belarus; belgian Belgium; bolivian Bolivia; bosnian Bosnia;
brazilian Brazil; british UK|United Kingdom|Great Britain; bulgarian Bulgaria; cambodian Cambodia; cameroonian Cameroon;
canadian Canada; chilean Chile; chinese China; colombian Colombia; croatian Croatia; cuban Cuba; cypriot Cyprus;
czech Czech Republic|Czechia; danish Denmark; dane Denmark; dutch Netherlands|Holland|The Netherlands; ecuadorian Ecuador;
egyptian Egypt; english England; estonian Estonia; ethiopian Ethiopia; finnish Finland; finn Finland; french France;
georgian Georgia; german Germany; ghanaian Ghana; greek Greece; guatemalan Guatemala; haitian Haiti; hungarian Hungary;
icelandic Iceland; indian India; indonesian Indonesia; iranian Iran; iraqi Iraq; irish Ireland; israeli Israel; italian Italy;
ivorian Ivory Coast|Côte d'Ivoire; jamaican Jamaica; japanese Japan; jordanian Jordan; kazakh Kazakhstan; kenyan Kenya;
korean South Korea|Korea; kuwaiti Kuwait; latvian Latvia; lebanese Lebanon; libyan Libya; lithuanian Lithuania;
luxembourgish Luxembourg; malaysian Malaysia; maltese Malta; mexican Mexico; moldovan Moldova; mongolian Mongolia;
moroccan Morocco; mozambican Mozambique; nepalese Nepal; nigerian Nigeria; norwegian Norway; pakistani Pakistan;
panamanian Panama; paraguayan Paraguay; peruvian Peru; filipino Philippines; philippine Philippines; polish Poland;
portuguese Portugal; romanian Romania; russian Russia|Russian Federation; saudi Saudi Arabia; scottish Scotland;
senegalese Senegal; serbian Serbia; singaporean Singapore; slovak Slovakia; slovene Slovenia; slovenian Slovenia;
somali Somalia; spanish Spain; spaniard Spain; swede Sweden; swedish Sweden; swiss Switzerland; syrian Syria; taiwanese Taiwan;
tanzanian Tanzania; thai Thailand; tunisian Tunisia; turkish Turkey|Türkiye; ugandan Uganda; ukrainian Ukraine;
uruguayan Uruguay; venezuelan Venezuela; vietnamese Vietnam; welsh Wales; yemeni Yemen; zambian Zambia; zimbabwean Zimbabwe
"""
COUNTRIES: Mapping[str, tuple[str, ...]] = {
    demonym: tuple(countries.split("|"))
    for entry in " ".join(_NAMES.split()).split("; ")
    for demonym, _, countries in [entry.partition(" ")]
}


def countries_of(word: str) -> tuple[str, ...]:
    """The names of the country that a folded word is of, in the plural too: "Germans"."""
    return COUNTRIES.get(word) or COUNTRIES.get(word.removesuffix("s"), ())
