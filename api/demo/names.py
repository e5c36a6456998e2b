"""Names of people and of the avatars they make."""

from __future__ import annotations

from typing import Final

FEMALE: Final = (
    *("Adaeze", "Agnieszka", "Aiko", "Alma", "Amélie", "Anaïs", "Anjali", "Astrid", "Beatriz", "Camille"),
    *("Carmen", "Chiara", "Chloé", "Clara", "Dalia", "Elif", "Elin", "Emma", "Esi", "Fatima"),
    *("Freya", "Giulia", "Hana", "Hannah", "Ines", "Ingrid", "Isabel", "Jana", "Katarzyna", "Kavya"),
    *("Leila", "Lena", "Linh", "Lucía", "Maëlle", "Mariam", "Marta", "Mei", "Nadia", "Naomi"),
    *("Nina", "Noor", "Olga", "Paula", "Priya", "Rania", "Rosa", "Sanna", "Saoirse", "Sofia"),
    *("Thandiwe", "Valentina", "Wanjiru", "Yara", "Yuki", "Zofia"),
)
MALE: Final = (
    *("Adrián", "Ahmed", "Alejandro", "Anders", "Arjun", "Bao", "Bartosz", "Benoît", "Carlos", "Christian"),
    *("Daniel", "Diego", "Dmitri", "Elias", "Emeka", "Enzo", "Erik", "Farid", "Felix", "Gabriel"),
    *("Giorgos", "Hassan", "Henrik", "Hugo", "Ibrahim", "Ivan", "Jakub", "James", "João", "Jonas"),
    *("Kenji", "Kwame", "Lars", "Leo", "Luca", "Marco", "Mateo", "Mehmet", "Miguel", "Nikhil"),
    *("Noah", "Oluwaseun", "Omar", "Oscar", "Pablo", "Rafael", "Ravi", "Søren", "Tariq", "Thomas"),
    *("Tomás", "Viktor", "Wei", "Yusuf"),
)
NEUTRAL: Final = ("Alex", "Ariel", "Charlie", "Eden", "Jules", "Kim", "Noa", "Quinn", "Robin", "Sam", "Sasha", "Sky")
FAMILY: Final = (
    *("Abebe", "Adeyemi", "Aguilar", "Almeida", "Andersson", "Bauer", "Becker", "Bianchi", "Bose", "Brennan"),
    *("Carvalho", "Castillo", "Chen", "Costa", "Demir", "Diallo", "Dubois", "Eriksson", "Fernández", "Ferrari"),
    *("Fischer", "Fontaine", "García", "Gupta", "Haddad", "Hansen", "Herrera", "Hoffmann", "Ito", "Ivanova"),
    *("Jansen", "Johansson", "Kamau", "Kapoor", "Kaya", "Khan", "Kim", "Kowalska", "Krüger", "Larsen"),
    *("Laurent", "Le", "Lindqvist", "López", "Mahmoud", "Marino", "Martín", "Mensah", "Meyer", "Moreau"),
    *("Moretti", "Murphy", "Nakamura", "Nguyen", "Nielsen", "Novák", "Nwosu", "O'Connor", "Okonkwo", "Oliveira"),
    *("Park", "Patel", "Pereira", "Petrov", "Popescu", "Rahman", "Ramos", "Reyes", "Rossi", "Ruiz"),
    *("Sánchez", "Sato", "Schmidt", "Sharma", "Silva", "Singh", "Sousa", "Suzuki", "Tanaka", "Taylor"),
    *("Torres", "Tran", "van Dijk", "Vargas", "Virtanen", "Walsh", "Wang", "Weber", "Wójcik", "Yamamoto"),
    *("Yılmaz", "Zhang", "Zhou", "Zielińska"),
)

ACCOUNTS: Final = (
    ("admin", "Amara", "Okafor", "female"),
    ("brand", "Margaux", "Lefèvre", "female"),
    ("premium", "Kaito", "Mori", "male"),
    ("user", "Robin", "Ellis", "unisex"),
)
"""Role, first name, family name and gender of the accounts to sign in with: one a role."""

FIRST_AVATAR: Final = ("Me", "Everyday me", "My measurements", "{name}", "{name}, today")
"""Names of default avatars."""

FURTHER_AVATARS: Final = (
    *("After the marathon", "Before the summer", "Dance company", "Dress form 38", "Dress form 42", "Fit model 36"),
    *("Fit model 50", "For the wedding", "Gift for my sister", "In heels", "Lockdown shape", "My brother"),
    *("My mother", "Partner", "Runway 2025", "Second trimester", "Stage costume", "Studio mannequin", "Tailor's block"),
    *("Tall version", "Winter layers", "With binder", "With posture fixed", "Workshop client"),
)

GRADES: Final = {
    "male": ((177.0, 7.0), (24.6, 2.8), (60.0, 0.50), (35.0, 0.62), (60.0, 0.50), 0.250),
    "female": ((164.5, 6.5), (23.2, 3.0), (58.0, 0.55), (34.0, 0.65), (66.0, 0.53), 0.229),
    "unisex": ((170.5, 7.5), (23.8, 3.0), (59.0, 0.52), (34.5, 0.63), (63.0, 0.52), 0.240),
}
"""By gender: height (mean, deviation) in cm; body mass index (mean, deviation); chest, waist and hips in cm, each
as (base, cm a kg); shoulder width as a part of the height."""
