"""Every number by which guidance, and the agent through it, weighs one thing against another, with its unit.

A nat is added to a logit before the model's own; a match is 1 where a question has all words of a name. It holds numbers alone:
what they do stands where they are used. They were fitted on the tuning questions of `benchmarks/db_rows.py --dev` and
`benchmarks/routing.py --dev`; a benchmark tunes one by `replace(Weights(), keys=replace(KeyWeights(), optional=-8.0))`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetrievalWeights:
    """Which tool: nats on a tool's name."""

    embedding: float = 14.0  # at a cosine of 1 between the question and the best sentence of its description
    definition: float = 30.0  # at a mean cosine of 1 with the definition's readings, where a tool's server is unknown
    definition_beside: float = 20.0  # the same beside the best sentence, where its server shows no typical questions
    change_asked: float = 1.5  # for a tool that makes a change of the kind that the question asks for
    change_not_asked: float = -5.0  # for one that makes a change, where the question asks for none of its kind
    lacking: float = -1.0  # for each required value that nothing in the question fits, where its arguments are copied
    deprecated: float = -3.0  # for a tool whose description says that it is deprecated
    vague: float = -2.0  # for each required value that its call takes from plain words: "the class" for a symbol
    reader: float = 1.0  # for a tool that reads or opens, where its call takes something that the question spells out
    search: float = 0.5  # for a tool that is told in words what to look for: its call takes every word of the question
    in_words: float = 1.5  # for one whose alternatives are weighed against every word of the question
    shape: float = 2.0  # for one whose required value is just of the shape that it asks for: a path, a formula, a time zone
    misused: float = -4.0  # for one whose path or identifier is words that look like none, or that takes a path for a name
    unsaid: float = -1.0  # for each required value that its schema lists, where none of them is said
    silent: float = -2.0  # for a tool whose call takes nothing of a question that spells out something
    used: float = 0.5  # for each thing that the question spells out and the tool's call takes
    server_word: float = 1.6  # for each nat of evidence (idf) that a word is of this server
    tool_word: float = 0.5  # for each of the question's words that the tool's own definition has


@dataclass(frozen=True, slots=True)
class ShownQuestionWeights:
    """Which of the tools whose servers show typical questions, where no server is asked: nats on a tool's name.

    Fitted by conditional logit on the tuning questions of `benchmarks/answers.py`; `benchmarks/server_choice.py` says what they
    are worth, docs/decisions/agent.md what more numbers are not.
    """

    sentence: float = 5.7  # at a cosine of 1 between the question and the best sentence of its description
    words: float = 4.2  # for a description that has all of the question's words
    search: float = 4.5  # for one that has to be told what the question is about
    formed: float = 1.4  # for one whose arguments come in several forms,
    stems: float = 6.2  # more where its definition has all of the question's content words,
    identifier: float = -5.1  # and where the question spells a name as code does


@dataclass(frozen=True, slots=True)
class ReadingWeights:
    """A tool whose own server reads the question: nats on the names of that server's tools."""

    asked: float = -5.0  # for a server that was asked, so that little evidence counts against it beside others' tools;
    covered: float = 9.0  # for a search that leads to a place with all of the question's words, each by how much it says,
    similar: float = 10.0  # and at a cosine of 1 of a place with the question;
    call: float = 3.0  # for a call that a server proposes,
    call_covered: float = 6.5  # more where it accounts for all of the words. Fitted by conditional logit on the questions of
    # `benchmarks/answers.py` that may be read: 91% of 906 choices of a server with a workspace left out, 60% by words alone
    sure: float = 0.9  # (probability) of such a call's answer, as found on the tuning questions of `benchmarks/answers.py`,
    some_words: float = 0.2  # and where a word is left over


@dataclass(frozen=True, slots=True)
class KeyWeights:
    """Whether a key is written: nats on the key."""

    optional: float = -9.0  # for an optional key that nothing speaks for
    spoken_for: float = 6.0  # for a key of an object with one form, where a phrase or one of its options is said
    phrase: float = 4.0  # for a key of an alternative, where a phrase speaks for it,
    needed: float = 3.0  # where its alternative needs it anyway,
    implied: float = 2.0  # where it only goes along with another;
    match: float = 6.0  # and for a match of 1 of its best option, as much again


@dataclass(frozen=True, slots=True)
class OptionWeights:
    """Which of a key's listed values: nats on the value."""

    named: float = 7.0  # for one that is named: all of its words, or a phrase that stands for it
    embedding: float = 8.0  # at a cosine of 1 from the question
    head_noun: float = 4.0  # for one that has the noun after "which", "each", "per" or "by"
    first_symbol: float = 1.0  # for the first of options that have no words ("=", "!="): schemas list the usual one first
    match: float = 8.0  # for a match of 1
    unspoken: float = -12.0  # for a choice that has phrases, and none is said; but for
    usual: int = 2  # (options) the first ones, which descriptions begin with
    phrase_word: float = 0.5  # more for each word of the phrase: "how many different" goes over "how many"
    earliest: float = 2.0  # more for the first of several names that could be the choice


@dataclass(frozen=True, slots=True)
class ValueWeights:
    """Which free value, and what is left over: nats on the value, or on the alternative."""

    string: float = 7.0  # for a string that the question spells out, in an object with one form
    spelled: float = 9.0  # for a value and its operator, in an alternative
    unused: float = -4.0  # on an alternative, for each value spelled out that finds no name in it
    known_word: float = 1.0  # on an alternative, for each word that it knows and does nothing with


@dataclass(frozen=True, slots=True)
class NameWeights:
    """How well a name matches words: shares of a match, and distances in words."""

    owner: float = 0.5  # for a name whose owner is said, "author" for author.name;
    owner_further: float = 0.2  # less for the owner's further names: what comes first is what it is called by
    reference: float = 0.1  # for one that only refers to that owner, author_id
    sense: float = 0.8  # (factor) on a match by sense alone
    owned: float = 0.7  # (factor) on a match by sense of a name that belongs to something else, where nothing says so
    least: float = 0.3  # below it a match is none
    reach: int = 5  # (tokens) between a name and its value, or the gap of a phrase
    later: float = 0.02  # less for each name that the schema lists before it,
    later_most: float = 0.2  # at most this much beside a phrase
    gap_word: float = 0.65  # (factor) for each word between a phrase and the name
    right_kind: float = 0.3  # more for a name of the kind that a phrase is about: "oldest" is about a date
    wrong_kind: float = 0.6  # less for one of another kind, and for a number or a date where a phrase asks who has the most


@dataclass(frozen=True, slots=True)
class ConditionWeights:
    """Which name a value belongs to: shares of a match."""

    covered: float = 0.5  # (factor) on what words that are covered already would add
    place: float = 1.3  # (factor) on how like a place's its name is, for a value after "in" or "from"
    elsewhere: float = 0.2  # (factor) on what words say that are not beside such a value
    called: float = 0.6  # (factor) on how like "name" its name is, for any other text
    year: float = 0.8  # (factor) on how like "year" a number's name is, for a value that could be one
    date: float = 0.5  # for a date, for such a value
    apart: float = 0.4  # less for every content word between a name and its value
    beside: float = 0.3  # more for a name right beside its value
    absent: float = 0.8  # the match from which on a name may be meant to be absent, or there


@dataclass(frozen=True, slots=True)
class QuotationWeights:
    """Which passage of a result answers: nats on the passage."""

    embedding: float = 8.0  # at a cosine of 1 from the question
    shared_words: float = 4.0  # for one that has all of the question's words
    named: float = 3.0  # for one that has all names and quoted strings that the question spells, and not every other has
    listed: float = 1.5  # for a list as a whole, where several things are asked for
    echo: float = -4.0  # for one that says no word but the question's own
    later: float = 0.1  # less for each passage before it
    near: float = 0.2  # up to which less than the best the model may choose a passage of any text


@dataclass(frozen=True, slots=True)
class PassageWeights:
    """Which passage of a document answers: nats for a feature at its highest.

    Fitted on the tuning questions about documentation of `benchmarks/answers.py`: 67 of 82 passages hold the answer, and 67
    with weights that were fitted without the documentation that is asked.
    """

    focus_words: float = 0.5  # for a sentence that has all of the question's words, by their rarity,
    text_words: float = 1.1  # more where what is printed with it has them,
    context_words: float = 1.5  # and where that or the headings above do
    topic: float = 0.8  # for the innermost heading, all of whose words are asked for
    pairs: float = 1.3  # for all pairs of neighbouring words of the question near each other
    identifiers: float = 0.5  # for all names that the question spells
    similar: float = 1.3  # at a cosine of 1 of the question and the sentence under its headings,
    similar_focus: float = 1.7  # and of the sentence alone
    kind: float = 1.3  # for a sentence that has every kind of answer that is asked for,
    kind_text: float = 1.9  # more where what is printed with it does
    prose: float = 1.3  # for what is told to its end, and in words
    rank: float = 1.7  # for the first hit, half of it for the second, and so on
    history: float = -2.0  # for what changed in a version, where nobody asks for that


@dataclass(frozen=True, slots=True)
class CodeWordWeights:
    """How well a word of code stands for a word of a question: shares of a match."""

    unlike: float = 0.42  # the cosine up to which two words have nothing in common
    alike: float = 0.75  # and the one from which on they mean the same
    sense: float = 0.85  # for a match by sense alone
    same: float = 0.8  # for one of the words that programmers use for it


@dataclass(frozen=True, slots=True)
class SourceWeights:
    """Which place of a source file answers: nats on the place, and shares of a match by where a word stands."""

    coverage: float = 10.0  # for a place where all words of the question are found, in it or around it
    own: float = 4.0  # more where they stand in the very line
    fit: float = 3.0  # for the kind of code that is asked for
    named: float = 4.0  # more for the very definition that is asked about
    nearness: float = 2.0  # for the file that the search put first
    test_file: float = -5.0
    prose_file: float = -1.5
    no_value: float = 1.5  # less for a place without a number or a string, where one is asked for
    message: float = 4.0  # more for one that has a message which the question quotes
    text: float = 1.5  # less for a comment or a documentation string
    imports: float = 1.5  # less for an import that is not asked for
    line: float = 0.2  # less for each line beyond the third
    beside_best: float = 2.5  # within which a place near a better one is shown with it
    together: float = 3.0  # within which places alike are one list
    list_bonus: float = 0.5  # for such a list, where one is asked for
    members: float = 26.0  # for a class's or a file's members, counted, where the question names it as it is written
    name_factor: float = 1.5  # (factor) on the rarity of an identifier
    kind_factor: float = 0.3  # (factor) on the rarity of a word that says which kind of code is meant
    found: float = 0.9  # the match from which on a word is found
    in_statement: float = 0.85
    in_head: float = 0.75  # in the name of a definition around it
    in_condition: float = 0.7  # in another statement around it
    in_comment: float = 0.7
    in_head_comment: float = 0.5
    in_path: float = 0.6
    beside: float = 0.5  # in one of the lines next to it


@dataclass(frozen=True, slots=True)
class CoverageWeights:
    """Which words of a question count as accounted for."""

    sense: float = 0.6  # (cosine) from which on a word of the evidence is near enough to a plain word


@dataclass(frozen=True, slots=True)
class ConfidenceWeights:
    """How sure it is that a quoted answer is right: a logistic model, coefficients in nats of odds for a feature of 1.

    Fitted by `benchmarks/answers_calibration.py` on the tuning questions of `benchmarks/answers.py`, which prints these lines.
    """

    threshold: float = 0.62  # (probability) below it there is no answer
    sure: float = 0.70  # (probability) from which on no other search is asked
    bias: float = -1.32
    call_logprob: float = -0.01  # of the call, in tens of nats
    answer_logprob: float = 0.07  # of the choice among the candidates, in tens of nats
    margin: float = 0.59  # of the candidate to the best of the others, in fives of nats
    weight: float = 0.31  # of the candidate, in twelves of nats
    only_candidate: float = 0.07
    coverage: float = 1.05  # share of the question's words that are used
    unused_words: float = -0.33  # plain ones, in fives
    unused_values: float = -0.56  # names, numbers and quoted strings, in threes
    used_values: float = 0.38  # in threes
    rows: float = -0.10  # the result is rows of a table,
    several_rows: float = -0.02  # so many of them: log(1 + further rows) / 5
    code: float = -0.50  # hits in source code
    prose: float = -1.13  # hits in documents
    other: float = 0.23  # any other text
    other_exact: float = 0.50  # such a text, where all names, numbers and quoted strings are used: the share of all words,
    other_told: float = 0.47  # and the share of it that the answer is
    rows_unused: float = -0.10  # rows, times the share of the question's words that are not used
    asked_unused: float = -0.54  # a word that names what is asked for is not used
    nothing_counted: float = -0.02  # rows of zeros and nulls alone
    noted: float = -0.20  # the result has a note: on a value that is not there, on an index that is not complete
    unasked_call: float = 0.21  # a call that says nothing of the question: a listing
    tried_before: float = -0.02  # calls before that found nothing, in threes,
    unsure_before: float = 0.12  # and that found something else
    cut: float = 0.00  # the result is shown in part
    place_found: float = 0.30  # share of the question's words, by rarity, that a passage and what is around it have
    place_fit: float = 0.27  # the passage has the kind of thing that is asked for
    source_found: float = 0.24  # share of the question's words, by rarity, that a place in source code and its context have
    source_fit: float = -0.09  # it is the kind of code that is asked for
    lacks_value: float = -1.0  # none of such places shows a value of the type that is asked for: a figure, a string, a default
    message_there: float = 1.5  # the first of them has a message that the question quotes
    source_weight: float = 0.38  # of such a place, in twenties of nats
    passage_says: float = 0.27  # share of the question's words in a document's passage,
    passage_alike: float = 0.65  # cosine of the question and the passage under its headings,
    passage_pairs: float = 0.26  # share of the question's neighbouring words that stand together in it,
    passage_share: float = 0.41  # of the odds of all passages of documents, those that are printed have,
    passages: float = -0.23  # so many of them, in threes
    source_share: float = 0.11  # of the odds of all places in source code, those that are printed have,
    places: float = -0.09  # so many of them, in threes
    both_told: float = 0.13  # what another tool found is told, too
    history: float = 0.13  # a document's passage that tells what changed in a version, where nobody asks for that
    informed: float = 0.58  # in a search's answer, share of what the question's words say that one of its places accounts for,
    uninformed: float = -1.49  # and how far that is from a half where all its places are taken together
    words: float = 1.20  # of the question, in eights: each is one more that may not be accounted for
    one_open: float = -1.25  # the share that no one place accounts for, where one thing of many is asked for,
    name_open: float = -0.31  # and where the question spells a name as code is
    lacks_number: float = -1.33  # a number is asked for, and the first place that is told has none
    rare_unused: float = -0.75  # 1 where nothing that was searched holds a word that is not used, less where something does
    rare_words: float = 0.14  # share of the question's words, by rarity, that the answer and the names of its place have
    rarest_word: float = 0.14  # the rarest of them is there
    beside_code: float = 0.31  # another search has a place in source code that fits, and the answer is none
    names_there: float = 0.65  # a place in source code has every name of the question that is spelled as code is
    file_margin: float = 0.50  # of the candidate to the best in another file, in fives of nats
    disagreed: float = -0.44  # another tool has an answer, and names no such figure or identifier
    first_hits: float = 0.03  # 1 in the first hit, less for each further
    several: float = 1.14  # it counts or lists records of a result
    whole: float = 0.73  # it is all of a short text that the question names
    computed: float = 2.62  # it is what a formula gives in which all numbers of the question are
    has_type: float = 0.32  # the answer has the kind of thing that is asked for,
    lacks_type: float = 0.43  # or has not
    says_words: float = 0.28  # share of the question's words in the answer itself
    several_parts: float = 0.08  # the question has parts, and one answer for all
    length: float = 0.36  # of the answer, in 280 characters


@dataclass(frozen=True, slots=True)
class CopyWeights:
    """Which span of a question a parameter is: nats on the value."""

    quoted: float = 2.5  # for a string in quotation marks,
    shaped: float = 1.0  # for an address, a path, an identifier, a formula,
    name: float = 1.5  # for words with capitals,
    clause: float = -2.5  # for a sentence or what is introduced,
    number: float = -1.5  # for a number, where the parameter is a string
    role: float = 5.0  # for the shape that the parameter's words ask for: a date for `start_date`
    other_role: float = -5.0  # for another shape than that
    named_shape: float = 2.5  # for a shape that the description names
    near_name: float = 4.0  # for a word of the parameter's name right beside it,
    near_description: float = 1.5  # for a word of its description;
    shared_word: float = 0.5  # (factor) for each further parameter that the word could mean
    compound: float = 0.5  # (factor) on both for a phrase: "host address" hardly says what the host is
    apart: float = 0.75  # (factor) on both for every word between
    across: float = 0.5  # (factor) on both for a mark, an "and" or another value between
    follows: float = 0.8  # (factor) on both for a word that comes after the value
    unit: float = 2.5  # for the number's unit among the parameter's words
    cue: float = 2.0  # for a preposition that goes with its name: "to Paris" for `destination`
    sense: float = 4.0  # at a cosine of 1 between the span and the parameter's name
    context_sense: float = 3.0  # at a cosine of 1 between the words around it and the parameter's words
    order: float = 0.6  # less, at most, for a parameter that comes early in its list and a span late in the text
    said_itself: float = -4.0  # for a phrase that has only words of the parameter's own name
    tool_words: float = -2.5  # for a phrase all of whose words are the tool's own
    cut_name: float = -3.0  # for a phrase that takes a part of a name, or more than one
    divided_place: float = -3.0  # for "Paris, France", where the tool has parameters for both,
    whole_place: float = 2.0  # and where the parameter's description shows one like it;
    place: float = -0.5  # elsewhere
    bare: float = 3.0  # for one word behind "in" or "of" and without an article, where a path or an identifier is asked for
    opening_verb: float = -1.5  # for a phrase that has the sentence's first word
    length: float = 0.25  # more for each word of a phrase but the first, at most 3
    option: float = 6.0  # for a listed value that is said, word by word
    unsaid_option: float = 4.0  # for one of several that a required parameter's description lists, where none is said
    option_sense: float = 3.0  # at a cosine of 1 between the question and a listed value
    default: float = 1.0  # for the schema's default
    earlier: float = -3.0  # for what only an earlier result says
    topic_elsewhere: float = 0.25  # (share) of a search's words, where the tool's description shows no question: it may look
    # for exactly what it is told
    spread: float = 6.0  # less than the best: what weighs less still is not offered
    most_tools: int = 6  # of the best ones, that are narrowed; the others keep their schemas
    most_weighed: int = 16  # the same for an agent's tools, whose servers differ
    most_values: int = 8  # offered of one parameter
    least: float = 1.0  # below it a required string fits nothing, and is left to the model;
    least_number: float = -6.0  # the same for a required number: questions name few
    least_shaped: float = -1.5  # the same for a required value of a shape of its own: an identifier, a quotation, a name
    least_left_over: float = 3.0  # for an optional parameter to take a name or a number that nobody else took
    number_word: float = -1.0  # for a number in words
    proper: float = 2.5  # for words with capitals, where the parameter is a place or somebody's name,
    improper: float = -1.0  # and for words without
    identifying: float = 2.0  # for a number, where the parameter identifies something
    least_optional: float = 3.0  # of evidence: below it an optional parameter stays out


@dataclass(frozen=True, slots=True)
class StrengthWeights:
    """How much all of the above counts against the model's logits: factors, by the model's size."""

    small: float = 3.0  # for a model that knows little of tools
    large: float = 1.0
    small_below: int = 1_000_000_000  # (parameters)

    def is_small(self, parameters: int) -> bool:
        """Is it a model whose own prose about a result is not to be trusted?"""
        return parameters < self.small_below

    def of(self, parameters: int) -> float:
        return self.small if self.is_small(parameters) else self.large


@dataclass(frozen=True, slots=True)
class TunedWeights:
    """A model under an adapter that has learned to make calls."""

    call: float = -2.0  # nats, on making a call where the answer may also say that no tool fits. Fitted on the questions of odd
    # numbers of BFCL's irrelevance and simple_python; on the others 81% are refused and 93% called for (60 and 97% without)


@dataclass(frozen=True, slots=True)
class Weights:
    """All of them."""

    retrieval: RetrievalWeights = RetrievalWeights()
    shown_questions: ShownQuestionWeights = ShownQuestionWeights()
    readings: ReadingWeights = ReadingWeights()
    keys: KeyWeights = KeyWeights()
    options: OptionWeights = OptionWeights()
    values: ValueWeights = ValueWeights()
    names: NameWeights = NameWeights()
    conditions: ConditionWeights = ConditionWeights()
    quotations: QuotationWeights = QuotationWeights()
    copies: CopyWeights = CopyWeights()
    passages: PassageWeights = PassageWeights()
    code_words: CodeWordWeights = CodeWordWeights()
    source: SourceWeights = SourceWeights()
    coverage: CoverageWeights = CoverageWeights()
    confidence: ConfidenceWeights = ConfidenceWeights()
    strength: StrengthWeights = StrengthWeights()
    tuned: TunedWeights = TunedWeights()


DEFAULT_WEIGHTS = Weights()
