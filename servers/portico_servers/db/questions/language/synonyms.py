"""Words that people say for one another when they speak of what databases keep: English, and no database's own words.

A group is symmetrical: whichever of its words a name has, the others stand for it. Verbs stand beside the noun that does or
suffers what they tell, since tables are called by nouns: who "appears in" a film is an actor. Groups overlap on purpose; what
a word means is decided by what there is.
"""

from __future__ import annotations

from collections.abc import Iterator

from portico_servers.db.questions.language.words import stem

_NOUNS = """
movie film picture flick feature
song track tune piece number
album record disc disk lp
artist band musician singer performer act group
composer songwriter
playlist mix mixtape
client customer buyer shopper purchaser consumer account
employee staff worker personnel colleague
member subscriber reader borrower patron
pupil student kid child learner schoolchild youngster
instructor teacher lecturer professor tutor
advisor adviser tutor mentor counsellor counselor
boss manager supervisor superior head chief
leader head organizer organiser captain
writer author novelist poet
actor actress performer star cast
director filmmaker
doctor physician medic
patient client
technician engineer mechanic
rep representative agent salesperson
seller vendor merchant
supplier vendor provider producer manufacturer maker
carrier shipper courier haulier freighter
user account login
person people
firm company business corporation enterprise organization organisation
town city municipality
nation country land
state province region district county area
region area zone
place location site venue spot
site station location
address street
zip postcode postal
room classroom hall
building house wing block
shop store outlet branch
branch office library location
stock inventory
warehouse depot
copy item inventory disc dvd
category genre kind type sort class style
kind type sort variety
media medium format
subject topic field genre theme
department division section faculty
class lesson course
course subject
term semester
weekday day
club society association
enrollment enrolment registration
mark grade score result
grade level year
absence absentee
reason cause why
scholarship bursary grant stipend
cost price charge rate
fee charge
fine penalty charge
amount sum total money
total amount sum value
wage salary pay income
payment pay transaction
revenue turnover income sales earnings
purchase order
order purchase sale
bill invoice receipt
sale order purchase
rental hire lease loan
loan borrowing lending checkout
reservation hold
discount rebate reduction
freight shipping delivery postage
quantity amount number units count
stock inventory supply
article item product good merchandise
device sensor instrument gauge probe unit
reading measurement observation
measurement reading value
alert alarm warning notification
maintenance servicing service repair upkeep
severity seriousness
firmware software
battery charge power
altitude elevation height
message text note
work job task
job title position occupation role post
title name
length long duration runtime
runtime length duration
pages page
language tongue
rating certificate classification
status state
condition state
email mail
phone telephone number
photo picture image
birthday birth born
birth born age
born birth
surname last family
forename first given
language spoken
vehicle car automobile
apartment flat
flight trip
seat capacity
capacity seat size
country nationality
"""
_VERBS = """
employee work works working
staff work works working
actor appear star play act
artist perform sing record release
author write pen wrote written

loan borrow lend take
message say says said
rental rent hire
order buy buys bought purchase place
invoice buy bought bill
purchase buy bought
sale sell sold bought buy
invoice sold sell bought buy purchased
line sold sell
payment pay paid
supplier supply provide deliver source
shipper ship carry deliver dispatch transport
shipped sent send dispatch dispatched left
manager manage run head
leader lead run head
advisor advise mentor tutor
support assist help look
teacher teach taught instruct
class teach taught meet
enrollment enroll enrol register attend study
student study attend
member join joined belong
joined join registered register signed sign enrolled
reservation reserve book hold
maintenance maintain service serviced repair fix
reading measure measured read record log
absence absent miss missed skip
copy own stock hold
inventory stock own hold
installed install fitted deployed set
discontinued stop discontinue drop
retired retire decommissioned removed withdrawn
cleared clear closed resolved fixed ended
raised raise triggered trigger fired occurred
returned return back brought
due expected deadline owed
required due needed deadline
published publish issued released came
released release published issued came
release came out
opened open opening founded established started
founded found established started
hired hire employed employ recruited joined started
started start began begun begin
created create made added registered opened signed sign
died die dead death deceased
death died die dead deceased
born birth
paid pay settled settle
reports report answer
boss report answer
manager report answer
superior report answer
supervisor report answer
live reside home city country
salary earn make paid
cost price charge
weigh weight
"""


def _groups(text: str) -> Iterator[list[str]]:
    return (line.split() for line in text.splitlines() if line)


def _nouns() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for group in _groups(_NOUNS):
        for one in group:
            found.setdefault(one, set()).update(map(stem, group))
    return {one: frozenset(others - {stem(one)}) for one, others in found.items()}


def _verbs() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, *verbs in _groups(_VERBS):
        for one in verbs:
            found.setdefault(stem(one), set()).add(stem(name))
    return {one: frozenset(others - {one}) for one, others in found.items()}


_OF_NOUNS, _OF_VERBS = _nouns(), _verbs()


def nouns_like(word: str) -> frozenset[str]:
    """The stems of nouns that a noun stands for, in the plural too."""
    singulars = [word, word.removesuffix("s"), word.removesuffix("es")]
    if word.endswith("ies"):
        singulars.append(word[:-3] + "y")
    return frozenset().union(*(_OF_NOUNS.get(one, ()) for one in singulars))


def nouns_of_verb(verb: str) -> frozenset[str]:
    """The stems of nouns that a verb (a stem) tells of."""
    return _OF_VERBS.get(verb, frozenset())
