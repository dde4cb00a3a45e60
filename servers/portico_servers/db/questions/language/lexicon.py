"""What English says for the parts of a query, and what its adjectives measure. Words alone: it knows no database.

The measures are those of any database: what is cheap has a price, what is old has a date or a year. Each is a list of words
that columns are called by, the likelier ones first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Order = Literal["asc", "desc"]


class Measure(NamedTuple):
    """What an adjective compares by: words of columns, of which kind, and which end "-est" is."""

    words: tuple[str, ...]
    order: Order
    kinds: tuple[str, ...] = ("number",)


MONEY = "price cost amount total fee fare rate paid payment charge salary value revenue spend budget".split()
LENGTH = "length duration minutes milliseconds seconds hours time runtime distance words pages".split()
SIZE = "size amount total area capacity seats beds population budget quantity bytes value".split()
HEIGHT = "height altitude elevation level value total amount".split()
TIME = "date time on at day created opened founded started hired joined born birth published year".split()
BEGIN = ["birth", "born", "founded", "opened", "built", "hired", "hire", "started", "joined", "published", "created", "date"]
_DATE = ("date", "number")

MEASURES: Mapping[str, Measure] = {
    "cheap": Measure(tuple(MONEY), "asc"), "expensive": Measure(tuple(MONEY), "desc"), "costly": Measure(tuple(MONEY), "desc"),
    "dear": Measure(tuple(MONEY), "desc"), "empty": Measure(("battery", "charge", "level", "fill", "stock"), "asc"),
    "pricey": Measure(tuple(MONEY), "desc"), "rich": Measure(("salary", "budget", "income"), "desc"),
    "long": Measure(tuple(LENGTH), "desc"), "short": Measure(tuple(LENGTH), "asc"),
    "high": Measure(tuple(HEIGHT), "desc"), "low": Measure(tuple(HEIGHT), "asc"),
    "tall": Measure(("height", "altitude", "elevation", "size"), "desc"),
    "big": Measure(tuple(SIZE), "desc"), "large": Measure(tuple(SIZE), "desc"), "great": Measure(tuple(SIZE), "desc"),
    "small": Measure(tuple(SIZE), "asc"), "tiny": Measure(tuple(SIZE), "asc"),
    "thick": Measure(("thickness", "pages"), "desc"), "thin": Measure(("thickness", "pages"), "asc"),
    "heavy": Measure(("weight", "mass"), "desc"), "light": Measure(("weight", "mass"), "asc"),
    "fast": Measure(("speed", "velocity"), "desc"), "slow": Measure(("speed", "velocity"), "asc"),
    "hot": Measure(("temperature",), "desc"), "cold": Measure(("temperature",), "asc"),
    "deep": Measure(("depth",), "desc"), "wide": Measure(("width",), "desc"), "strong": Measure(("strength",
    "power"), "desc"),
    "good": Measure(("grade", "score", "rating", "points", "result"), "desc"),
    "bad": Measure(("grade", "score", "rating", "points", "result"), "asc"),
    "old": Measure(tuple(BEGIN), "asc", _DATE), "young": Measure(tuple(BEGIN), "desc", _DATE),
    "early": Measure(tuple(TIME), "asc", _DATE), "late": Measure(tuple(TIME), "desc", _DATE),
    "new": Measure((*BEGIN, *TIME), "desc", _DATE), "recent": Measure(tuple(TIME), "desc", _DATE),
    "first": Measure(tuple(TIME), "asc", _DATE), "last": Measure(tuple(TIME), "desc", _DATE),
    "full": Measure(("total",), "desc"), "popular": Measure((), "desc"), "common": Measure((), "desc"),
    "widespread": Measure((), "desc"), "prevalent": Measure((), "desc"),
    "frequent": Measure((), "desc"), "often": Measure((), "desc"), "rare": Measure((), "asc"),
}  # fmt: skip
PHYSICAL = frozenset(
    "tall thick thin heavy light fast slow hot cold deep wide strong".split()
)  # no amount, total or grade tells
TIMELY = frozenset("old young early late new recent first last".split())  # that compare times
NOUNS: Mapping[str, str] = {  # of what an adjective measures
    "length": "long", "duration": "long", "runtime": "long", "height": "high", "altitude": "high", "size": "big",
    "weight": "heavy",
    "speed": "fast", "price": "expensive", "cost": "expensive", "thickness": "thick", "depth": "deep", "width": "wide",
    "temperature": "hot", "revenue": "expensive", "income": "expensive",
}  # fmt: skip
_IRREGULAR = {
    "best": "good", "better": "good", "worst": "bad", "worse": "bad", "latest": "late", "later": "late", "biggest": "big",
    "bigger": "big", "thinnest": "thin", "hottest": "hot", "earliest": "early", "heaviest": "heavy", "maximum": "high",
    "minimum": "low", "max": "high", "min": "low", "largest": "large", "furthest": "long", "priciest": "pricey",
    "thinner": "thin", "heavier": "heavy", "earlier": "early", "hotter": "hot", "costliest": "costly", "tiniest": "tiny",
}  # fmt: skip


def adjective(word: str, ending: str) -> str | None:
    """The adjective of a superlative ("est") or comparative ("er") that measures something."""
    if word in _IRREGULAR and (word.endswith("est") or word.endswith("st") or word.startswith(("max", "min"))) == (
        ending == "est"
    ):
        return _IRREGULAR[word]
    if word in ("first", "last") and ending == "est":
        return word
    if not word.endswith(ending):
        return None
    base = word[: -len(ending)]
    return next((one for one in (base, base + "e", base[:-1], base[:-1] + "y") if one in MEASURES), None)


COMPARISONS: tuple[tuple[tuple[str, ...], str], ...] = tuple(
    (tuple(phrase.split()), op)
    for phrase, op in (
        ("greater than or equal to", ">="), ("less than or equal to", "<="), ("no more than", "<="), ("no less than", ">="),
        ("not more than", "<="), ("not less than", ">="), ("more than", ">"), ("greater than", ">"), ("higher than", ">"),
        ("larger than", ">"), ("bigger than", ">"), ("better than", ">"), ("above", ">"), ("over", ">"), ("exceeding", ">"),
        ("exceed", ">"), ("exceeds", ">"), ("beyond", ">"), ("at least", ">="), ("minimum of", ">="), ("fewer than", "<"),
        ("less than", "<"), ("lower than", "<"), ("smaller than", "<"), ("worse than", "<"), ("below", "<"), ("under", "<"),
        ("at most", "<="), ("up to", "<="), ("maximum of", "<="), ("exactly", "="), ("equal to", "="), ("equals", "="),
    )
)  # fmt: skip
COUNT_PHRASES = tuple(
    tuple(phrase.split())
    for phrase in (
        "how many", "number of", "total number of", "count of", "count the", "count all", "count them", "count how many",
        "just count", "amount of", "wie viele", "anzahl der", "cuantas", "cuantos", "quantos", "quantas", "combien de",
        "total number", "total count", "combien", "quanti", "quante", "hoeveel", "ile", "hur manga",
    )
)  # fmt: skip
SUM_WORDS = frozenset("total sum altogether overall together combined earn earned earnings revenue turnover".split())
PERCENT_WORDS = frozenset("percent percentage pct share proportion fraction portion ratio".split())
AVERAGE_WORDS = frozenset("average mean avg typical typically".split())
LIST_WORDS = frozenset("list show give name find tell display return fetch see what which who whose when where get".split())
GROUP_WORDS = frozenset("per each every".split())
NEGATIONS = frozenset("no not without never none neither nor nobody nothing lacking lack lacks unassigned".split())
# What is still going on, and what is over; dates that tell when it was, and for when it was promised.
OPEN_WORDS = frozenset(
    "active alive current living ongoing open out outstanding pending running uncompleted underway unfinished "
    "unresolved".split()
)
CLOSED_WORDS = frozenset("closed finished completed resolved settled over dead deceased done ended".split())
LATE_WORDS = frozenset("late tardy belated delayed".split())
IN_TIME_WORDS = frozenset("punctual punctually".split())
ENDINGS = tuple(
    "returned return cleared closed resolved retired ended end finished completed paid died death left shipped delivered "
    "terminated arrived fulfilled".split()
)
PROMISES = tuple("due required deadline expected planned scheduled promised target".split())
NOT_YET = (("yet", "to"), ("waiting", "to"), ("waiting", "for"), ("still", "to"), ("no", "longer"))
EMPTY_WORDS = frozenset("blank empty missing unknown null unspecified absent unfilled".split())  # said behind what has no value
PEOPLE = frozenset(
    "person people author writer artist actor director employee staff teacher student member customer client user "
    "player doctor "
    "patient passenger technician manager owner contact seller buyer driver pilot guest agent leader lecturer professor "
    "contributor assignee reviewer winner speaker guide nurse worker captain chief head supervisor name".split()
)
NEGATIVE_PREFIXES = ("un", "in", "non", "dis", "im")
DISTINCT_WORDS = frozenset("different distinct unique".split())
MONEY_WORDS = frozenset(
    "cost costs price spent spend spends paid pay pays earn earns earned money revenue expensive worth".split()
)
PAID_WORDS = frozenset("spend spends spent pay pays paid".split())
EARNED_WORDS = frozenset("earn earns earned money revenue turnover income spent spend spends".split())
PRICED_WORDS = frozenset("price prices priced cost costs rate expensive".split())
SALES_TABLES = frozenset("sale order invoice purchase transaction receipt payment rental ticket booking".split())
SALES_WORDS = frozenset("sell sells selling sold seller sellers".split())
TOWARDS = frozenset(
    "to into toward towards destination dest target arrival arrive arrives receiver recipient dropoff end".split()
)
AWAY = frozenset("from origin source departure depart start sender pickup begin".split())
PERSON_WORDS = frozenset("who whom whose whoever".split())
REPORTING = frozenset("report reports reporting reported answer answers answering answered".split())  # to a superior
ANYBODY = frozenset("people persons folks anyone anybody someone somebody everyone everybody".split())
TIME_UNITS: Mapping[str, float] = {
    "millisecond": 0.001, "ms": 0.001, "second": 1, "sec": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "day": 86400,
    "week": 604800,
}  # fmt: skip  # seconds
CURRENCIES = frozenset("euro eur dollar usd buck pound gbp franc chf kroner krone peso real".split())
GENERIC_MEASURES = "amount total value price quantity score".split()
PREPOSITIONS = frozenset(  # that FUNCTION has not; those that compare are comparisons
    "aboard about according across against along alongside amid among amongst around as aside at behind beneath beside "
    "besides concerning considering despite down during following inside into like near next off onto opposite outside per "
    "regarding through throughout toward towards underneath upon versus via within".split()
)
DISCOURSE = PREPOSITIONS | frozenset(  # adverbs, politeness and talk about the question itself: they add no condition
    "actually again all along already alright also although always among amongst anyhow anyway apart around aside assume "
    "assumed assumes away back basically because believe believed believes besides beyond both bye certainly cheers claim "
    "claimed claims clearly curious dear decimal decimals definitely details directly either else enough especially etc "
    "even exact exactly far finally fine first folks full further generally good great guess guys handy happen happens "
    "heard hence hers his hmm hope how however idea indeed instead kindly know later let lets like likely little lots maybe "
    "mean means mine more moreover much namely nearly need next nice now obviously off often ok okay one only other others "
    "otherwise ought ours out overall own part particular particularly per perhaps plus possible possibly precise precisely "
    "presently pretty probably quick quickly quite rather really reckon remember respectively right roughly round rounded "
    "same say says seem seems simply since so somehow soon sorry specifically still straight such suppose supposed supposes "
    "sure surely suspect tad that thats theirs then there therefore think thinks though thought through throughout thus "
    "till together too true try understand upon usual usually various very via wanna way well whatever whether which while "
    "whoever whole whose within without wondering word words yeah yep yes yet yours".split()
)
# Words that carry on a question and name nothing in a database: leaving one out changes no answer.
PLAIN_VERBS = frozenset(
    "answer anybody anyone arrive base become begin belong borrow bought bring brought business buy call came catalog "
    "catalogue charge choose collection come company complete consist contain cost cover create currently data database "
    "carried carry conduct deliver detail did display do done earn end enter entire entry ever everybody everyone exist fact "
    "fall file feel field "
    "firm "
    "gave give given go gone got handle happen held hello help hi hold include included inclusive info information install "
    "interest involve keep kept kind last lead leave lend library like live locate look made make manage mark measure meet "
    "moment money occur offer operate order our own paid pay people person pick place play please print process produce "
    "perform "
    "provide put receive record recorded register release return row run said say school seem select sell send serve ship "
    "shop sit sold somebody someone sort spend stand start sum system take taken teach thanks thing think time today told "
    "took turn type use visit we went whole wonder work worth write written wrote yours".split()
)
