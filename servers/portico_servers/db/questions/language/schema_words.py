"""What the words of a schema's names mean in English: abbreviations, and the nouns of German, French and Spanish schemas.

Tables and columns are called in whatever language their makers spoke, and shortened: `geburtsdatum` is a date of birth, `qty` a
quantity. Words that are English, too, are left as they are ("art", "kind", "tag"): a schema's own language is not told.
"""

from __future__ import annotations

from collections.abc import Mapping

# Word: what it stands for. Without accents, as names are folded; an umlaut may be written out ("groesse").
_SHORT = """
acct: account; addr: address; amt: amount; avg: average; cnt: count; cust: customer; dept: department; descr: description;
dest: destination; dob: birth date; emp: employee; fname: first name; grp: group; hist: history; lang: language; lname: last
name; loc: location; mgr: manager; mins: minutes; msg: message; pct: percent; prio: priority; prod: product; qty: quantity;
secs: seconds; subj: subject; supp: supplier; tel: phone; usr: user; yr: year
"""
_GERMAN = """
abgesagt: cancelled; abgeschlossen: completed; ablauf: expiry; abschluss: completion; abteilung: department; abwesenheit:
absence; adresse: address; aktiv: active; allergie: allergy; angebot: offer; angestellte: employee; angestellter: employee;
anlage: asset; anmeldung: registration; ansprechpartner: contact; anzahl: number; artikel: article; arzt: doctor; arzte:
doctor; arztin: doctor; aufgabe: task; auftrag: order; auftrage: order; ausgabe: edition; ausgeliehen: loaned; ausgestellt:
issued; ausleihe: loan; ausstattung: equipment; autor: author; baujahr: built year; befund: finding; beginn: start;
behandlung: treatment; bemerkung: remark; benutzer: user; berater: advisor; bereich: area; beruf: occupation; beschreibung:
description; bestand: stock; bestellt: ordered; bestellung: order; betrag: amount; bewertung: rating; bezahlt: paid;
bezeichnung: name; bezirk: district; buch: book; bucher: book; buchung: booking; bundesland: state; chronisch: chronic;
datum: date; dauer: duration; diagnose: diagnosis; dozent: lecturer; eingang: receipt; eingestellt: hired; einheit: unit;
einkommen: income; einnahme: revenue; einstellung: hired; eintritt: joined; empfanger: recipient; ende: end; entfernung:
distance; erledigt: done; ernte: harvest; erstellt: created; etage: floor; fach: subject; fachgebiet: specialty;
fachrichtung: specialty; fahrer: driver; fahrt: trip; fahrzeug: vehicle; fakultat: faculty; fallig: due; familienname: last
name; farbe: colour; fehler: error; feld: field; filiale: branch; firma: company; flache: area; flug: flight; frist:
deadline; gast: guest; gaste: guest; gebaude: building; gebuhr: fee; geburtsdatum: birth date; geburtsort: birth place;
geburtstag: birth date; gehalt: salary; geliefert: delivered; geloscht: deleted; gemeinde: municipality; geplant: planned;
geraete: device; gerat: device; gesamt: total; geschaft: shop; geschlecht: sex; gesellschaft: company; gewicht: weight;
groesse: size; grosse: size; grund: reason; gruppe: group; gultig: valid; haltestelle: stop; hauptstadt: capital; haus:
house; hersteller: manufacturer; hoehe: height; hohe: height; jahr: year; kapazitat: capacity; kasse: fund; kategorie:
category; kaufdatum: purchase date; klasse: class; kommentar: comment; konto: account; kosten: cost; krankenkasse: health
insurance; krankheit: disease; kreis: district; kunde: customer; kunden: customer; kurs: course; kurse: course; laenge:
length; lagerbestand: stock; lange: length; lehrer: teacher; leiter: leader; lieferant: supplier; lieferung: delivery; lohn:
wage; maschine: machine; medikament: drug; menge: quantity; miete: rent; mieter: tenant; mitarbeiter: employee; mitglied:
member; mitglieder: member; monat: month; nachname: last name; nachricht: message; nummer: number; offen: open; ort: city;
patienten: patient; pflicht: mandatory; plz: postcode; postleitzahl: postcode; praxis: practice; preis: price; produkt:
product; pruefung: exam; prufung: exam; punkte: points; qualitat: quality; rabatt: discount; raeume: room; raum: room;
raume: room; rechnung: invoice; rechnungen: invoice; reise: journey; rezeptpflichtig: prescription; ruckgabe: return;
rueckgabe: return; saal: hall; schicht: shift; schiff: ship; schueler: student; schule: school; schuler: student;
schweregrad: severity; seiten: pages; sitz: seat; sprache: language; staat: country; stadt: city; stadte: city; standort:
location; stelle: position; strasse: street; strecke: route; stuck: piece; stueck: piece; stunden: hours; tarif: tariff;
teile: part; teilnehmer: participant; telefon: phone; temperatur: temperature; termin: appointment; termine: appointment;
tiere: animal; titel: title; uhrzeit: time; umsatz: revenue; unterricht: lesson; urlaub: holiday; verein: club; verfasser:
author; verkauf: sale; verkaufer: seller; verlag: publisher; vermerk: note; verordnung: prescription; versicherung:
insurance; vertraege: contract; vertrag: contract; vertrage: contract; verwendung: use; vorgang: case; vorgesetzte:
superior; vorgesetzter: superior; vorname: first name; vorrat: stock; wahrung: currency; ware: product; waren: product;
werk: plant; wert: value; wohnort: city; wohnung: flat; zahlung: payment; zeit: time; zeitpunkt: time; zimmer: room;
zustand: condition; zustandig: responsible; zweck: purpose
"""
_FRENCH = """
adresse: address; annee: year; appartement: flat; auteur: author; chambre: room; chanson: song; commande: order; couleur:
colour; courriel: email; cours: course; debut: start; devis: quote; duree: duration; ecole: school; eleve: student; employe:
employee; enseignant: teacher; entreprise: company; etage: floor; etudiant: student; facture: invoice; fournisseur:
supplier; hauteur: height; heure: hour; horaire: schedule; jour: day; langue: language; livraison: delivery; livre: book;
longueur: length; magasin: shop; maison: house; medecin: doctor; membre: member; mois: month; montant: amount; naissance:
birth; nom: name; nombre: number; paiement: payment; paye: paid; personne: person; poids: weight; prenom: first name; prix:
price; produit: product; quantite: quantity; quartier: district; salaire: salary; salle: room; telephone: phone; titre:
title; utilisateur: user; vendeur: seller; vente: sale; ville: city; voiture: car
"""
_SPANISH = """
activo: active; altura: height; alumno: student; anio: year; apellido: last name; apellidos: last name; autor: author;
barrio: district; calle: street; cantidad: quantity; ciudad: city; cliente: customer; clientes: customer; correo: email;
cuenta: account; curso: course; departamento: department; descripcion: description; direccion: address; duracion: duration;
edad: age; edificio: building; empleado: employee; empleados: employee; empresa: company; entrega: delivery; estado: status;
estudiante: student; factura: invoice; facturas: invoice; fecha: date; habitacion: room; idioma: language; importe: amount;
jefe: boss; libro: book; medico: doctor; nacimiento: birth; pagado: paid; pago: payment; pais: country; pedido: order;
pedidos: order; precio: price; producto: product; productos: product; profesor: teacher; proveedor: supplier; proveedores:
supplier; puesto: position; salario: salary; sueldo: salary; tarea: task; telefono: phone; tienda: shop; tiendas: shop;
titulo: title; usuario: user; vendedor: seller; venta: sale; ventas: sale
"""
_AMBIGUOUS = frozenset("nombre".split())  # a number in French, a name in Spanish: known by what stands beside it, so left alone


def _entries(text: str) -> Mapping[str, tuple[str, ...]]:
    pairs = (entry.split(":") for entry in text.split(";") if ":" in entry)
    return {word.strip(): tuple(meaning.split()) for word, meaning in pairs if word.strip() not in _AMBIGUOUS}


_MEANINGS: Mapping[str, tuple[str, ...]] = {
    **_entries(_SPANISH), **_entries(_FRENCH), **_entries(_GERMAN), **_entries(_SHORT)
}  # fmt: skip


def meaning_of_inflected(word: str) -> str:
    """What one word of a question means in a schema's words, in the plural too; the word itself where that is several words,
    or it is none of these."""
    for ending in ("", "e", "n", "en", "er", "s"):
        bare = word.removesuffix(ending)
        if word.endswith(ending) and len(bare) >= 4 and bare in _MEANINGS:
            return _MEANINGS[bare][-1] if len(_MEANINGS[bare]) == 1 else word
    return word


def meaning(word: str) -> tuple[str, ...]:
    """The English words that a folded word of a name stands for; the word itself where it is none of these."""
    return _MEANINGS.get(word, (word,))
