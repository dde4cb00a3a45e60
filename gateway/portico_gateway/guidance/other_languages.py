"""A question in German, French, Spanish, Portuguese or Italian, with the words that tools and code know it by in English.

Question words, function words and the common words of programming are put into English, word by word; names, numbers,
quotations and whatever it doesn't know stay as they stand, and count as words that an answer leaves out. It is no translator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

LEAST_WORDS = 2  # of a language, that a question must have to be in it
MOST_WORDS = 60  # of a question that is looked at

_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’](?=[^\W\d_]))?(?![\d_])")
_SPELLED_OUT = re.compile(
    r"""["“`][^"”`]*["”`] | \S*[\w)][./_:@\d]\S*\w | \b\w*[a-z][A-Z]\w*\b | \b[A-Z]{2,}\w*\b""", re.VERBOSE
)
_ENGLISH = frozenset(
    "the of is are was what which who where when how does do did it its and to for with from by has have can at this".split()
)

# Word: what stands for it; "-" for nothing. Words of two stand with a space.
_GERMAN = """
wie viele: how many; wie viel: how much; wie heißt: what is the name of; wie lange: how long; wie groß: how large;
was: what; wer: who; wo: where; wann: when; wie: how; warum: why; welche: which; welcher: which; welches: which;
welchen: which; welchem: which; der: the; die: the; das: the; den: the; dem: the; des: of the; ein: a; eine: a; einer:
a; einen: a; einem: a; und: and; oder: or; ist: is; sind: are; war: was; wird: is; werden: are; hat: has; haben: have;
kann: can; bei: at; im: in the; in: in; von: of; vom: of the; für: for; mit: with; ohne: without; auf: on; aus: from;
zu: to; zum: to the; zur: to the; nach: after; vor: before; wenn: when; dass: that; es: it; man: one; nicht: not;
schon: already; bereits: already; gibt es: are there; gibt: -; zurück: returns; bitte: please; mir: me; sich: -;
standardmäßig: by default; standard: default; vorgabe: default; voreinstellung: default; wert: value; wertes: value;
statuscode: status code; statuscodes: status codes; liefert: returns; ausnahme: exception; fehler: error; ausgelöst:
raised; geworfen: raised; löst: raises; wirft: raises; funktion: function; klasse: class; klassen: classes; methode:
method; methoden: methods; argumente: arguments; parameter: parameters; datei: file; dateien: files; zeile: line;
definiert: defined; aufgerufen: called; ruft: calls; umleitung: redirect; weiterleitung: redirect; anfrage: request;
antwort: response; schlüssel: key; name: name; namens: name; anzahl: number of; größe: size; länge: length; zeit:
time; zeitlimit: timeout; höchstens: at most; mindestens: at least; maximale: maximum; minimale: minimum;
umgebungsvariable: environment variable; einstellung: setting; option: option; schalter: option; version: version;
erbt: inherits; gesperrt: blocked; existiert: exists; verzeichnis: directory; letzte: last; letzter: last; erste:
first; modus: mode; benötigt: needs; braucht: needs
"""
_FRENCH = """
combien de: how many; combien: how many; est ce que: -; qu est ce que: what is; quel: which; quelle: which; quels:
which; quelles: which; qui: who; que: what; quoi: what; où: where; quand: when; comment: how; pourquoi: why; le: the;
la: the; les: the; un: a; une: a; des: -; du: of the; de: of; et: and; ou: or; est: is; sont: are; a: has; ont: have;
peut: can; dans: in; en: in; sur: on; pour: for; avec: with; sans: without; par défaut: by default; par: by; à: to;
au: to the; aux: to the; ne: -; pas: not; il: it; elle: it; se: -; ce: this; cette: this; déjà: already; lorsque:
when; dont: whose; utilise t il: uses; utilise: uses; valeur: value; statut: status; code: code; renvoie: returns;
retourne: returns; exception: exception; erreur: error; levée: raised; lève: raises; fonction: function; classe:
class; classes: classes; méthode: method; méthodes: methods; paramètre: parameter; paramètres: parameters; fichier:
file; fichiers: files; ligne: line; défini: defined; définie: defined; appelle: calls; appelée: called; redirection:
redirect; requête: request; réponse: response; clé: key; nom: name; nombre: number of; taille: size; longueur: length;
délai: timeout; maximum: maximum; minimum: minimum; maximale: maximum; minimale: minimum; variable: variable;
environnement: environment; option: option; version: version; hérite: inherits; bloqué: blocked; existe: exists;
répertoire: directory; dossier: directory; dernier: last; dernière: last; premier: first; dépôt: repository;
nécessaire: needed
"""
_SPANISH = """
cuántos: how many; cuántas: how many; cuánto: how much; cuánta: how much; qué: what; quién: who; dónde: where; cuándo:
when; cómo: how; cuál: which; cuáles: which; el: the; la: the; los: the; las: the; un: a; una: a; de: of; del: of the;
y: and; o: or; es: is; son: are; está: is; tiene: has; tienen: have; puede: can; en: in; para: for; con: with; sin:
without; por defecto: by default; por: by; al: to the; se: -; no: not; ya: already; cuando: when; que: that; si: if;
su: its; valor: value; estado: status; código: code; devuelve: returns; excepción: exception; error: error; lanza:
raises; función: function; clase: class; clases: classes; método: method; métodos: methods; parámetro: parameter;
parámetros: parameters; argumentos: arguments; archivo: file; fichero: file; archivos: files; línea: line; definido:
defined; definida: defined; llama: calls; redirección: redirect; petición: request; solicitud: request; respuesta:
response; clave: key; nombre: name; número: number; tamaño: size; longitud: length; máximo: maximum; máxima: maximum;
mínimo: minimum; mínima: minimum; variable: variable; entorno: environment; opción: option; versión: version; hereda:
inherits; bloqueado: blocked; existe: exists; directorio: directory; último: last; última: last; primero: first; usa:
uses; utiliza: uses; necesita: needs
"""
_PORTUGUESE = """
quantos: how many; quantas: how many; quanto: how much; que: what; quem: who; onde: where; quando: when; como: how;
qual: which; quais: which; o: the; a: the; os: the; as: the; um: a; uma: a; de: of; do: of the; da: of the; dos: of
the; das: of the; e: and; ou: or; é: is; são: are; estão: are; está: is; tem: has; têm: have; pode: can; em: in; no:
in the; na: in the; nos: in the; nas: in the; para: for; com: with; sem: without; por padrão: by default; por: by; ao:
to the; se: if; não: not; já: already; seu: its; valor: value; estado: status; código: code; retorna: returns;
devolve: returns; exceção: exception; erro: error; lança: raises; função: function; classe: class; classes: classes;
método: method; métodos: methods; parâmetro: parameter; parâmetros: parameters; arquivo: file; ficheiro: file; linha:
line; definido: defined; definida: defined; chama: calls; pedido: request; resposta: response; chave: key; nome: name;
número: number; tamanho: size; máximo: maximum; mínimo: minimum; ambiente: environment; opção: option; versão:
version; herda: inherits; existe: exists; diretório: directory; último: last; última: last; usa: uses
"""
_ITALIAN = """
quanti: how many; quante: how many; quanto: how much; cosa: what; che cosa: what; chi: who; dove: where; quando: when;
come: how; quale: which; quali: which; qual: which; il: the; lo: the; la: the; i: the; gli: the; le: the; un: a; una:
a; di: of; del: of the; della: of the; dei: of the; delle: of the; e: and; o: or; è: is; sono: are; ha: has; hanno:
have; può: can; in: in; nel: in the; nella: in the; per impostazione predefinita: by default; per: for; con: with;
senza: without; da: from; dal: from the; al: to the; si: -; non: not; già: already; se: if; che: that; valore: value;
stato: status; codice: code; restituisce: returns; eccezione: exception; errore: error; sollevata: raised; solleva:
raises; funzione: function; classe: class; classi: classes; metodo: method; metodi: methods; parametro: parameter;
parametri: parameters; riga: line; definito: defined; definita: defined; chiama: calls; richiesta: request; risposta:
response; chiave: key; nome: name; numero: number; dimensione: size; lunghezza: length; massimo: maximum; minimo:
minimum; variabile: variable; ambiente: environment; opzione: option; versione: version; eredita: inherits; esiste:
exists; cartella: directory; predefinito: default; ultimo: last; ultima: last; usa: uses
"""


def _table(written: str) -> Mapping[str, str]:
    pairs = (pair.partition(":") for pair in " ".join(written.split()).split(";"))
    return {word.strip(): "" if english.strip() == "-" else english.strip() for word, _, english in pairs if word.strip()}


_TABLES = tuple(_table(text) for text in (_GERMAN, _FRENCH, _SPANISH, _PORTUGUESE, _ITALIAN))
_LONGEST = 4  # words that stand together


def in_english(question: str) -> str | None:
    """The question with the words that are known in English; None where it is in none of those languages."""
    words = [word.lower().rstrip("'’") for word in _WORD.findall(question)][:MOST_WORDS]
    table = max(_TABLES, key=lambda of: _said(of, words))
    if _said(table, words) < LEAST_WORDS or _said(table, words) <= 2 * sum(word in _ENGLISH for word in words):
        return None
    kept = [(match.start(), match.end()) for match in _SPELLED_OUT.finditer(question)]
    return " ".join(_replaced(question, table, kept).split())


def _said(table: Mapping[str, str], words: list[str]) -> int:
    return sum(word in table and word not in _ENGLISH for word in words)


def _replaced(question: str, table: Mapping[str, str], kept: list[tuple[int, int]]) -> str:
    matches = [m for m in _WORD.finditer(question) if not any(first <= m.start() < last for first, last in kept)]
    out, at, index = list[str](), 0, 0
    while index < len(matches):
        for count in range(min(_LONGEST, len(matches) - index), 0, -1):
            run = matches[index : index + count]
            said = " ".join(m[0].lower().rstrip("'’") for m in run)
            beside = all(re.fullmatch(r"[\s’'-]*", question[a.end() : b.start()]) for a, b in pairwise(run))
            if said in table and beside:
                out += [question[at : run[0].start()], f" {table[said]} "]
                at, index = run[-1].end(), index + count
                break
        else:
            index += 1
    return "".join([*out, question[at:]]).lstrip(" ¿¡")
