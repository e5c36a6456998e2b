"""The rules that an existing table gets, in words, and what is known about rows that break them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint or unique index in words.

    `mend` is what an UPDATE may set, and in which of the rows that break the rule, where nothing is lost by that.
    `keys` are the expressions of a unique index as a later revision leaves them, where one changes them.
    """

    words: str
    advice: str = ""
    mend: tuple[str, str] | None = None
    keys: str = ""


_EMPTY: Final = "Null in JSON is no object: {} says the same"

RULES: Final = {
    "chk_users_role": Rule(
        "role is user, premium, brand or admin",
        advice="The original's seeder makes the role designer. Here everyone designs; user has no further rights, "
        "brand may offer items in the catalogue as well",
        mend=("role = 'user'", "role = 'designer'"),
    ),
    "uidx_users_email": Rule(
        "an email address belongs to one account, whatever its case, its form in Unicode and the blanks around it",
        advice="Change the address of all but one of them; deleted accounts keep theirs, too",
        keys="shared.fold(btrim(email))",
    ),
    "chk_avatars_gender": Rule("gender is male, female or unisex"),
    "chk_avatars_measurements": Rule(
        "measurements are an object of positive numbers",
        advice="Those that are null can be left out; of the others only their owner knows what is right",
        mend=(
            "measurements = coalesce(nullif(jsonb_strip_nulls(measurements::jsonb), 'null'), '{}')",
            "jsonb_typeof(measurements) = 'null' OR jsonb_path_exists(measurements, '$.* ? (@ == null)')",
        ),
    ),
    "uidx_avatars_user_id_default": Rule(
        "a user has one default avatar at most",
        advice="The one that was changed last stays the default",
        mend=("is_default = false", ""),
    ),
    "chk_catalog_items_type": Rule("type is silhouette, fabric or pattern"),
    "chk_catalog_items_category": Rule(
        "category is top, bottom, dress, outerwear, accessory or other, or null", advice="other, where none fits"
    ),
    "chk_catalog_items_price": Rule("price is 0 or more"),
    "chk_catalog_items_properties": Rule(
        "properties are an object", advice=_EMPTY, mend=("properties = '{}'", "jsonb_typeof(properties) = 'null'")
    ),
    "chk_audit_log_operation": Rule("operation is INSERT, UPDATE or DELETE"),
}

VALUES: Final = {
    "integer": "{column} is a whole number, of cents where it is a price",
    "uuid": "{column} is a UUID",
    "jsonb": "{column} is JSON",
}
"""What a converted column holds, by its type."""
