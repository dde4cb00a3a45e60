"""What people call things that a tool's description calls otherwise: our own table of words, general enough for any tool.

It owns which words stand for which, and how some of a request's are exchanged. It knows no tool.
"""

from __future__ import annotations

import random
import re

# A word (of which the plural in -s goes the same way) and what people say instead.
_TABLE = """
account: login, profile | agenda: plan, schedule | appointment: meeting, date | archive: put away, store | article: text, piece
attach: add, pin, put on | author: writer, who wrote it | available: there, free, to be had | branch: line of work, line
bucket: folder, store | calendar: schedule, dates | cancel: call off, drop, stop | channel: room, group, chat | check: look at, see
clear: empty, wipe | close: end, finish, shut | code: source, program | collection: set, group | column: field | comment: remark, note
commit: saved version, version, snapshot | compare: hold against each other, look for differences between
configuration: settings, setup | connect: link, hook up | content: text, what is in it | convert: turn, change, translate
copy: duplicate, take over | count: how many, number | create: make, start, set up, open, put together | credential: login, password
customer: client, buyer | dataset: data, table | date: day | default: usual, standard | delete: remove, get rid of, throw away, erase, drop
describe: explain, tell me about | description: text, explanation | destination: target, where it goes | detail: information, fact
diff: difference, change | difference: change, what differs, what is different | directory: folder | disable: switch off, turn off
discard: throw away, drop | display: show | document: file, paper, text | download: fetch, get, save | edit: change, rewrite, correct
email: mail, message | employee: colleague, member of staff | enable: switch on, turn on | entry: line, item, record
error: failure, problem, crash | event: meeting, thing that happened | execute: run, start | existing: present, old
export: save, write out | extract: get, pull out | fetch: get, bring | file: document | filter: narrow down, select
find: look for, search for, track down | folder: directory | format: form, layout | generate: make, produce | group: team, set
guide: manual, instructions | heading: title, headline | history: past, log, what happened so far | identifier: id, number
image: picture, photo | import: bring in, load | index: list, register | information: data, facts, what is known | insert: add, put
inspect: look at, examine | invite: ask, add | invoice: bill | issue: ticket, problem, bug | item: thing, entry
join: enter, come into | key: id, name | label: tag, mark | latest: newest, most recent, last | leave: go out of, quit
limit: maximum, most | link: connection, address | list: show, what are, overview of | location: place, spot | log: record, history
manage: handle, look after | member: person, someone | merge: bring together, combine, join | message: note, text, post
metadata: information, facts about it | modify: change, edit, alter | move: shift, take, put | name: title | note: remark, memo
notification: alert, notice | object: thing, item | open: start, go to | option: choice, setting | order: purchase
organization: company, team | owner: who it belongs to | page: site, sheet | paper: study, article, publication | parameter: setting, value
path: place, location | payment: money paid, transfer | permission: right, access | person: someone, man or woman
picture: photo, image | play: start, put on | post: write, put up, publish | price: cost, how much | product: item, article
profile: account, who it is, information | project: work, undertaking | prompt: text, question | property: field, attribute
publish: put out, release | query: question, request | query: search, look for | reaction: response, emoji | read: look at, open, see
recent: new, latest, last | record: entry, line, row | reference: mention, link | remove: delete, take out, take away, drop, get rid of
rename: call otherwise, give a new name to | replace: exchange, swap | reply: answer, response | report: summary, account
repository: repo, project, code base | request: ask for, demand | reset: set back, undo, clear | resource: thing, file
response: answer, reply | restore: bring back, recover | result: finding, hit, outcome | retrieve: get, fetch, look up, bring
return: give, tell, show | review: check, look over | revert: undo, take back | revision: version, state | row: line, entry
rule: condition | run: start, execute | save: keep, store | schedule: plan, set a time for | screenshot: picture of the screen, capture
search: look for, find, hunt for | select: choose, pick | send: write, deliver, pass on | server: machine, host | session: visit, run
set: put, make, change | setting: option, preference | share: pass on, give access to | show: let me see, display, what is
size: how large, length | source: origin, where it comes from | stage: prepare, mark | status: state, how things stand, condition
step: stage, part | stop: end, halt | store: keep, save | style: look, form | subject: topic, title | subscribe: sign up, follow
summary: overview, short version | switch: change, go over | table: list, grid | tag: label, mark | task: job, to-do, thing to do
team: group, people | template: pattern, model | text: words, wording | thread: discussion, conversation | ticket: issue, request
time: hour, when | timestamp: time, moment | title: name, heading | token: key, password | tool: function, program | topic: subject, theme
track: follow, keep an eye on | transaction: payment, booking | translate: put, turn | update: change, bring up to date, refresh
upload: send, put up, add | url: link, address | user: person, member, someone, colleague | value: number, content | version: state, release
video: clip, film | view: look at, see, show | visit: go to, call up | watch: follow, look at | weather: forecast, sky
website: site, page | window: screen, view | word: term | workspace: team, company, work area | write: put down, save, note
"""  # noqa: E501
_OTHERS: dict[str, tuple[str, ...]] = {}
for _entry in re.split(r"[|\n]", _TABLE):
    _word, _, _said = _entry.strip().partition(": ")
    if _said:
        _OTHERS[_word] = (*_OTHERS.get(_word, ()), *_said.split(", "))
_WORD = re.compile(r"[a-z]+")


def in_other_words(text: str, rng: random.Random, share: float) -> str:
    """About that share of the words that people have others for, exchanged. A plural stays one where the other word has one."""

    def other(found: re.Match[str]) -> str:
        word = found[0]
        plural = word not in _OTHERS and word.endswith("s") and word[:-1] in _OTHERS
        if (word not in _OTHERS and not plural) or rng.random() >= share:
            return word
        said = rng.choice(_OTHERS[word[:-1] if plural else word])
        return _plural(said) if plural and " " not in said else said

    return _WORD.sub(other, text)


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"
