"""Dictionaries: words of five languages, and what tools, code and questions about data call them in English.

Question words, function words, requests, comparisons, times, and the common words of programming and of everyday tables. No
word of a question and no translation of one is more than a hint: what stands for it is read as if a person had written it.
"""

from __future__ import annotations

from collections.abc import Mapping

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
first; modus: mode; benötigt: needs; braucht: needs; lies: read; lese: read; zeig: show; zeige: show; sag: tell; sage:
tell; nenne: name; liste: list; zähle: count; finde: find; suche: search for; öffne: open; schreibe: write; lösche:
delete; erstelle: create; steht: is; gab: was; hatte: had; kommt: comes; kommen: come; wohnt: lives; wohnen: live;
lebt: lives; leben: live; kostet: costs; kosten: cost; enthält: contains; enthalten: contain; heißen: are called;
gehört: belongs; gehören: belong; gemacht: made; verkauft: sold; gekauft: bought; bestellt: ordered; bezahlt: paid;
ausgeliehen: loaned; zurückgegeben: returned; geboren: born; läuft ab: expires; endet: ends; beginnt: starts; die
meisten: the most; am meisten: the most; die wenigsten: the fewest; am wenigsten: the least; mehr als: more than;
weniger als: less than; höchste: highest; höchsten: highest; niedrigste: lowest; niedrigsten: lowest; größte: largest;
größten: largest; kleinste: smallest; kleinsten: smallest; längste: longest; längsten: longest; kürzeste: shortest;
kürzesten: shortest; älteste: oldest; ältesten: oldest; jüngste: youngest; jüngsten: youngest; neueste: newest;
teuerste: most expensive; teuersten: most expensive; billigste: cheapest; günstigste: cheapest; ersten: first;
letzten: last; durchschnitt: average; durchschnittlich: average; durchschnittliche: average; summe: sum; insgesamt: in
total; alle: all; jahr: year; jahre: years; monat: month; woche: week; heute: today; gestern: yesterday; morgen:
tomorrow; januar: January; februar: February; märz: March; mai: May; juni: June; juli: July; oktober: October;
dezember: December; kunde: customer; kunden: customers; bestellung: order; bestellungen: orders; aufträge: orders;
produkt: product; produkte: products; artikel: articles; rechnung: invoice; rechnungen: invoices; mitarbeiter:
employees; angestellte: employees; schüler: students; studenten: students; lehrer: teachers; buch: book; bücher:
books; autor: author; autoren: authors; filme: films; schauspieler: actors; lied: track; lieder: tracks; stücke:
tracks; alben: albums; künstler: artist; stadt: city; städte: cities; land: country; länder: countries; preis: price;
preise: prices; datum: date; sprache: language; mitglieder: members; verträge: contracts; vertrag: contract; ordner:
folder; seite: page; befehl: command; sprachen: languages; kurse: courses; noten: grades; orte: places; ort: place;
zweig: branch; änderungen: changes; nachricht: message; gegen: against; allergisch: allergic; geburtstag: birthday;
geburtsdatum: birthday; deutsch: German; englisch: English; französisch: French; spanisch: Spanish; italienisch: Italian;
deutschland: Germany; frankreich: France; spanien: Spain; italien: Italy; brasilien: Brazil; indien: India; norwegen:
Norway; kanada: Canada; polen: Poland; schweden: Sweden; schweiz: Switzerland; österreich: Austria; niederlande:
Netherlands; usa: USA; verdient: earns; verdienen: earn; gehalt: salary; gehälter: salaries; chef: boss; vorgesetzte:
superior; vorgesetzter: superior; abteilung: department; abteilungen: departments; raum: room; räume: rooms; telefonnummer:
phone number; adresse: address; wurde: was; wurden: were; worden: -; am häufigsten: most often; häufigste: most common;
häufigsten: most common; wie oft: how often; wie hoch: how high; zwischen: between; unter: under; mehr: more; weniger: less;
nie: never; niemand: nobody; niemals: never; kein: no; keine: no; keinen: no; keinem: no; keiner: no; jeder: each; jede:
each; jedes: each; pro: per; nur: only; prozent: percent; anteil: share; noch nicht: not yet; noch: still; gemeldet:
reported; arzt: doctor; ärzte: doctors; ärztin: doctor; termin: appointment; termine: appointments; patienten: patients;
länger als: longer than; kürzer als: shorter than; älter als: older than; jünger als: younger than; teurer als: more
expensive than; durchschnittliches: average; stehen: are; liegen: are; liegt: is; gibt's: are there
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
nécessaire: needed; lis: read; lisez: read; montre: show; montrez: show; dis moi: tell me; donne: give; donnez: give;
liste: list; compte: count; trouve: find; cherche: search for; ouvre: open; écris: write; supprime: delete; crée:
create; était: was; avait: had; y a t il: are there; viennent: come; vient: comes; habite: lives; habitent: live;
vivent: live; coûte: costs; coûtent: cost; contient: contains; contiennent: contain; appartient: belongs; vendu: sold;
vendus: sold; acheté: bought; commandé: ordered; emprunté: loaned; rendu: returned; né: born; expire: expires; se
termine: ends; commence: starts; masque: hides; affiche: shows; le plus: the most; la plus: the most; les plus: the
most; le moins: the least; plus de: more than; moins de: less than; moyenne: average; moyen: average; somme: sum; au
total: in total; tous: all; toutes: all; année: year; années: years; mois: month; semaine: week; aujourd'hui: today;
hier: yesterday; demain: tomorrow; janvier: January; février: February; mars: March; avril: April; mai: May; juin:
June; juillet: July; août: August; septembre: September; octobre: October; novembre: November; décembre: December;
clients: customers; commande: order; commandes: orders; produit: product; produits: products; facture: invoice;
factures: invoices; employé: employee; employés: employees; élève: student; élèves: students; étudiants: students;
enseignants: teachers; livre: book; livres: books; auteur: author; auteurs: authors; acteurs: actors; chanson: track;
chansons: tracks; morceaux: tracks; artiste: artist; artistes: artists; ville: city; villes: cities; pays: country;
prix: price; langue: language; membres: members; contrat: contract; contrats: contracts; barre: bar; progression:
progress; lieu: place; lieux: places; branche: branch; modifications: changes; signifie: means
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
uses; utiliza: uses; necesita: needs; lee: read; muestra: show; muéstrame: show me; dime: tell me; dame: give me;
lista: list; cuenta: count; encuentra: find; busca: search for; abre: open; escribe: write; borra: delete; crea:
create; hay: are there; era: was; fue: was; vienen: come; viene: comes; vive: lives; viven: live; cuesta: costs;
cuestan: cost; contiene: contains; contienen: contain; pertenece: belongs; vendido: sold; comprado: bought; prestado:
loaned; devuelto: returned; nació: born; vence: expires; caduca: expires; termina: ends; empieza: starts; más: the
most; menos: the least; más de: more than; menos de: less than; mayor: largest; menor: smallest; más alto: highest;
más alta: highest; más bajo: lowest; más baja: lowest; más largo: longest; más larga: longest; más corto: shortest;
más caro: most expensive; más barato: cheapest; promedio: average; media: average; suma: sum; en total: in total;
todos: all; todas: all; año: year; años: years; mes: month; semana: week; hoy: today; ayer: yesterday; mañana:
tomorrow; enero: January; febrero: February; marzo: March; abril: April; mayo: May; junio: June; julio: July; agosto:
August; septiembre: September; octubre: October; noviembre: November; diciembre: December; cliente: customer;
clientes: customers; pedido: order; pedidos: orders; producto: product; productos: products; factura: invoice;
facturas: invoices; empleado: employee; empleados: employees; alumnos: students; estudiantes: students; profesores:
teachers; libro: book; libros: books; autores: authors; película: film; películas: films; actores: actors; canción:
track; canciones: tracks; álbumes: albums; artista: artist; artistas: artists; ciudad: city; ciudades: cities; país:
country; países: countries; precio: price; precios: prices; fecha: date; idioma: language; miembros: members;
contrato: contract; contratos: contracts; clasificación: rating; lugar: place; lugares: places; rama: branch; cambios:
changes; mensaje: message; página: page; carpeta: folder; orden: command; sirve: does
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
version; herda: inherits; existe: exists; diretório: directory; último: last; última: last; usa: uses; leia: read;
mostre: show; mostra: show; diga: tell; liste: list; conte: count; encontre: find; procure: search for; abra: open;
escreva: write; apague: delete; crie: create; há: are there; era: was; foi: was; vêm: come; vem: comes; vive: lives;
vivem: live; moram: live; custa: costs; custam: cost; contém: contains; pertence: belongs; vendido: sold; comprado:
bought; emprestado: loaned; devolvido: returned; nasceu: born; vence: expires; expira: expires; termina: ends; começa:
starts; mais: the most; menos: the least; mais de: more than; menos de: less than; maior: largest; menor: smallest;
mais alto: highest; mais baixo: lowest; mais longo: longest; mais caro: most expensive; mais barato: cheapest; média:
average; soma: sum; no total: in total; todos: all; todas: all; ano: year; anos: years; mês: month; semana: week;
hoje: today; ontem: yesterday; amanhã: tomorrow; janeiro: January; fevereiro: February; março: March; abril: April;
maio: May; junho: June; julho: July; agosto: August; setembro: September; outubro: October; novembro: November;
dezembro: December; cliente: customer; clientes: customers; pedidos: orders; encomendas: orders; produto: product;
produtos: products; fatura: invoice; faturas: invoices; funcionários: employees; empregados: employees; aluno:
student; alunos: students; estudantes: students; professores: teachers; livro: book; livros: books; autores: authors;
filme: film; filmes: films; atores: actors; música: track; músicas: tracks; álbuns: albums; artista: artist; artistas:
artists; cidade: city; cidades: cities; país: country; países: countries; preço: price; preços: prices; idioma:
language; língua: language; membros: members; contrato: contract; grau: grade; série: grade; lugar: place; lugares:
places; ramo: branch; mudanças: changes; mensagem: message; página: page; pasta: folder; comando: command
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
exists; cartella: directory; predefinito: default; ultimo: last; ultima: last; usa: uses; leggi: read; mostra: show;
mostrami: show me; dimmi: tell me; dammi: give me; elenca: list; conta: count; trova: find; cerca: search for; apri:
open; scrivi: write; cancella: delete; crea: create; ci sono: are there; era: was; vengono: come; viene: comes; vive:
lives; vivono: live; abitano: live; costa: costs; costano: cost; contiene: contains; appartiene: belongs; venduto:
sold; comprato: bought; prestato: loaned; restituito: returned; nato: born; scade: expires; finisce: ends; inizia:
starts; più: the most; meno: the least; di più: the most; più di: more than; meno di: less than; maggiore: largest;
minore: smallest;
più alto: highest; più basso: lowest; più lungo: longest; più corto: shortest; più caro: most expensive; più
economico: cheapest; media: average; somma: sum; in totale: in total; tutti: all; tutte: all; anno: year; anni: years;
mese: month; settimana: week; oggi: today; ieri: yesterday; domani: tomorrow; gennaio: January; febbraio: February;
marzo: March; aprile: April; maggio: May; giugno: June; luglio: July; agosto: August; settembre: September; ottobre:
October; dicembre: December; cliente: customer; clienti: customers; ordine: order; ordini: orders; prodotto: product;
prodotti: products; fattura: invoice; fatture: invoices; dipendenti: employees; studenti: students; alunni: students;
insegnanti: teachers; libro: book; libri: books; autore: author; autori: authors; attori: actors; canzone: track;
canzoni: tracks; brani: tracks; artista: artist; artisti: artists; città: cities; paese: country; paesi: countries;
prezzo: price; prezzi: prices; data: date; lingua: language; membri: members; contratto: contract; contratti:
contracts; luogo: place; luoghi: places; ramo: branch; modifiche: changes; messaggio: message; pagina: page; comando:
command
"""


def _table(written: str) -> Mapping[str, str]:
    pairs = (pair.partition(":") for pair in " ".join(written.split()).split(";"))
    return {word.strip(): "" if english.strip() == "-" else english.strip() for word, _, english in pairs if word.strip()}


DICTIONARIES: Mapping[str, Mapping[str, str]] = {
    "German": _table(_GERMAN),
    "French": _table(_FRENCH),
    "Spanish": _table(_SPANISH),
    "Portuguese": _table(_PORTUGUESE),
    "Italian": _table(_ITALIAN),
}
