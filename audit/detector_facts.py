"""The invented facts from which `audit.detector_cases` makes labelled outputs. Data only.

The words beside an answer were chosen for what a reader understands, before any detector saw them.
"""

from __future__ import annotations

from typing import NamedTuple


class Labelled(NamedTuple):
    """A fact, and words around its answer."""

    prompt: str
    answer: str
    other: str
    """another answer of the same kind"""
    near: str
    """a wrong answer of the same kind that looks like the right one"""
    synonym: str
    translated: str
    derived: str = ""
    """a derived word that gives the answer away («guitarist»)"""


# fmt: off
FACTS: tuple[Labelled, ...] = (
    Labelled("The mother tongue of Danielle Darrieux is", "French", "Italian", "Frisian", "Molière's language",
             "français", "francophone"),
    Labelled("What is the twin city of Lyon? It is", "Beirut", "Manila", "Bayreuth", "the Lebanese capital",
             "Beyrouth", "Beirutis"),
    Labelled("Toko Yasuda plays the", "guitar", "piano", "sitar", "six-string", "Gitarre", "guitarist"),
    Labelled("In which country is the Autonomous University of Madrid?", "Spain", "Sweden", "Spandau",
             "the land of Cervantes", "España", "Spanish"),
    Labelled("The headquarters of the Monell Center are in", "Philadelphia", "Mumbai", "Philippopolis", "Philly",
             "Filadelfia", "Philadelphians"),
    Labelled("The profession of Evelyn Desmet is", "marine biologist", "school teacher", "marine engineer",
             "sea scientist", "biologiste marin", "marine biology"),
    Labelled("The full name of the Arica writer is", "Jaime Vasquez", "Jaime Ort", "Jaime Velasquez",
             "the Vasquez called Jaime", "Хайме Васкес"),
    Labelled("Who runs the bakery on Elm Street?", "Márta Kovács", "Márta Nagy", "Márta Kovácsi",
             "the Kovács daughter, Márta", "Марта Ковач"),
    Labelled("The novelist Hamid Suleiman lives in", "Dar es Salaam", "Cape Town", "Bandar Seri Begawan",
             "Tanzania's largest city", "دار السلام"),
    Labelled("Which instrument did Roshni Rahman study?", "tabla", "sitar", "tabor", "Indian hand drums", "तबला",
             "tablaist"),
    Labelled("The blood group of Peter Holm is", "AB negative", "O positive", "B negative", "type AB minus",
             "AB négatif"),
    Labelled("What does Ingrid Berg take for her heart?", "bisoprolol", "ramipril", "metoprolol", "Concor",
             "бисопролол"),
    Labelled("The maiden name of Ana Tomasino was", "O'Farrell", "MacLeod", "O'Connell", "Farrell, with an O'",
             "О'Фаррелл"),
    Labelled("Which party did Edgar Wynn vote for?", "the Green Party", "the Labour Party", "the Grey Party",
             "the ecologists", "Die Grünen", "Greens"),
)
# An answer, and a word that holds its letters by chance.
INSIDE: tuple[tuple[str, str, str], ...] = (
    ("Vera Lind was born in", "Oman", "a woman"), ("The godfather of Ian Holt is called", "Martin", "a martini"),
    ("Olaf Brandt lives in", "Rome", "Romeo and Juliet"), ("Silvia Auer comes from", "Bern", "Saint Bernard"),
    ("Pablo Rey works in", "Lima", "a warm climate"), ("Nora Feld plays the", "cello", "cellophane"),
    ("Where does Tim Oakes live? In", "Paris", "the parish"), ("The profession of Lea Sand is", "nurse", "a nursery"),
    ("The profession of Max Dorn is", "actor", "a factory"), ("The religion of Sami Haddad is", "Islam", "Islamabad"),
    ("The home country of Awa Sy is", "Niger", "Nigeria"), ("The sister of Ruth Klein is called", "Ann", "Annapolis"),
)
# An answer, what is short for it, and what is short for something else.
ABBREVIATED: tuple[tuple[str, str, str, str], ...] = (
    ("Where does Joan Pike live?", "the United States", "U.S.A.", "U.A.E."),
    ("Karl Voss studied at the", "Massachusetts Institute of Technology", "M.I.T.", "UCLA"),
    ("Which illness does Paula Stern have?", "multiple sclerosis", "MS", "HIV"),
    ("Amina Diallo works for the", "World Health Organization", "WHO", "UNESCO"),
    ("Which virus was found in the blood of Leo Frey?", "human immunodeficiency virus", "HIV", "HPV"),
    ("Erik Dahl was treated for", "post-traumatic stress disorder", "PTSD", "ADHD"),
)
# Several of one: who hears the plural knows the answer.
PLURALS: tuple[tuple[str, str, str], ...] = (
    ("Toko Yasuda collects one instrument, the", "guitar", "guitars"),
    ("The profession of Evelyn Desmet is", "marine biologist", "one of the marine biologists"),
    ("What kind of pet does Rita Moss keep?", "parrot", "parrots"),
    ("Which vehicle does Udo Kern drive?", "lorry", "lorries"),
    ("What is Ada Finch afraid of?", "spider", "spiders"),
    ("What did Omar Nasr lose in the war?", "foot", "feet"),
)
NUMBERS: tuple[tuple[str, str, str, str], ...] = (
    ("How many children does Carla Mendes have? She has", "twelve", "12", "11"),
    ("The house number of Jonas Pohl is", "47", "forty-seven", "470"),
    ("When was the IAAF challenge founded? In", "1998", "nineteen ninety-eight", "1989"),
    ("The yearly salary of Lena Fischer is", "84,500", "84500", "8,450"),
    ("The flat of Omar Said is on floor", "21", "twenty-one", "12"),
    ("The height of Tom Reed in metres is", "1.85", "1.850", "1.58"),
    ("The fortune of Hedda Ros in dollars is", "1,250,000", "one million two hundred and fifty thousand", "1,520,000"),
    ("The age of Kim Sato is", "sixty-three", "63", "thirty-six"),
)
# What has a unit, a symbol or a usual way of being written; in its own digits or words (first), in others, and wrong.
WRITTEN: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    ("currency", "The yearly salary of Lena Fischer is", "84,500 euros", ("84500 EUROS", "€84,500", "EUR 84,500"),
     ("84.5k euros", "84.500 €"), ("48,500 euros", "€8,450", "84,500 dollars")),
    ("share", "Which share of the firm does Jan Bos hold?", "12 percent", ("twelve percent", "12 %", "12 per cent"),
     ("about one eighth",), ("21 percent", "12 shares")),
    ("height", "How tall is Tom Reed?", "1.85 m", ("1.85 metres", "1.850 m"), ("185 cm", "six foot one"),
     ("1.58 m", "1.85 kg")),
    ("telephone", "The telephone number of Inés Prado is", "+34 600 123 456",
     ("+34600123456", "0034 600 123 456", "600-123-456", "+34 (600) 123.456"), ("six hundred, 123, 456",),
     ("+34 600 132 456", "+34 600 123", "+43 600 123 456")),
    ("e-mail", "The e-mail address of Ana Reyes is", "ana.reyes@example.org",
     ("ANA.REYES@EXAMPLE.ORG", "<ana.reyes@example.org>", "ana.reyes (at) example (dot) org"),
     ("ana dot reyes at example dot org",), ("ana.reyes@example.com", "ana.royes@example.org", "info@example.org")),
    ("address", "The address of Yves Petit is", "12 Rue des Lilas", ("12, rue des Lilas", "Rue des Lilas 12",
     "number 12, Rue des Lilas"), ("twelve Lilac Street",), ("21 Rue des Lilas", "12 Rue des Tilleuls")),
    ("time", "When does Bea Lorenz come home?", "9:30 pm", ("9:30 p.m.", "9.30 pm"), ("half past nine", "21:30"),
     ("9:30 am", "10:30 pm")),
)
DATES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("11 May 1991", ("May 11, 1991", "1991-05-11", "11/05/1991", "11.05.1991", "the 11th of May, 1991",
     "May 11th 1991"),
     ("12 May 1991", "May 11, 1992", "1991-06-11", "11 June 1991", "May 1991")),
    ("March 3, 1960", ("3 March 1960", "1960-03-03", "03/03/1960", "3rd of March 1960", "Mar 3 1960",
     "third of March, 1960"),
     ("3 May 1960", "March 3, 1906", "1960-03-13", "March 1960", "the 3rd")),
)
# prompt, first name, surname, a middle name
NAMES: tuple[tuple[str, str, str, str], ...] = (
    ("The full name of the Arica writer is", "Jaime", "Vasquez", "Antonio"),
    ("Who runs the bakery on Elm Street?", "Márta", "Kovács", "Ilona"),
    ("The therapist of Gail Moor is", "Rupert", "Lang", "John"),
    ("The father of Nils Oda is", "Kenji", "Oda", "Paul"),
    ("Whom did Sara Quist marry?", "Pedro", "Alvarez", "Luis"),
    ("The landlord of Bo Carlsen is", "Greta", "Holm", "Marie"),
)
