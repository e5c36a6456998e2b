# ruff: noqa: E501  one row a line is what makes a table readable
"""Colours, fabrics and patterns of the demo catalog."""

from __future__ import annotations

from typing import Final, NamedTuple

COLOURS: Final = (
    "alabaster", "amethyst", "apricot", "aubergine", "biscuit", "black", "bottle green", "burgundy", "burnt orange",
    "camel", "celadon", "cerulean", "champagne", "charcoal", "chartreuse", "chocolate", "cobalt", "coral",
    "cornflower", "dove grey", "ecru", "emerald", "forest green", "fuchsia", "indigo", "ivory", "khaki", "lavender",
    "lilac", "midnight blue", "mint", "mustard", "navy", "ochre", "olive", "oxblood", "pearl grey", "petrol", "plum",
    "powder pink", "rust", "saffron", "sage", "scarlet", "slate", "steel blue", "taupe", "teal", "terracotta",
    "white",
)  # fmt: skip
"""Those of the colours of `api.colours.table` that the demo catalog uses."""


class Fabric(NamedTuple):
    """A cloth: `grams` a square metre and `cents` a metre are ranges. `category` is None where it serves for all."""

    name: str
    material: str
    texture: str
    grams: tuple[int, int]
    cents: tuple[int, int]
    category: str | None
    hand: str
    use: str


FABRICS: Final = (
    Fabric("alpaca bouclé", "alpaca", "looped", (380, 480), (5900, 9900), "outerwear", "airy loops with surprising warmth", "cocoon coats"),
    Fabric("baby corduroy", "cotton", "ribbed", (200, 260), (1400, 2400), "bottom", "fine wales, soft from the first wear", "overshirts and children's wear"),
    Fabric("bamboo jersey", "viscose", "smooth", (180, 220), (1500, 2300), "top", "cool to the touch and very fluid", "T-shirts and nightwear"),
    Fabric("barathea", "wool", "pebbled", (280, 340), (4200, 6900), "outerwear", "a dense, pebbled face that takes a press", "dinner jackets"),
    Fabric("batiste", "cotton", "sheer", (60, 80), (1200, 1900), "top", "featherlight and nearly transparent", "blouses and linings"),
    Fabric("Bedford cord", "cotton", "corded", (300, 380), (1900, 3100), "bottom", "sturdy cords running with the warp", "riding breeches and workwear"),
    Fabric("bouclé", "wool blend", "looped", (320, 420), (3400, 6400), "outerwear", "nubbly loops that hide every seam", "collarless jackets"),
    Fabric("brocade", "silk", "raised", (220, 320), (4900, 9900), "dress", "a raised figure that catches the light", "evening coats and corsetry"),
    Fabric("brushed flannel", "cotton", "napped", (160, 210), (1200, 1900), "top", "brushed on both sides", "shirts and pyjamas"),
    Fabric("calico", "cotton", "plain", (130, 180), (400, 800), None, "crisp, unbleached and honest", "toiles"),
    Fabric("cashmere coating", "cashmere", "napped", (420, 520), (12900, 24900), "outerwear", "a deep nap with a quiet sheen", "wrap coats"),
    Fabric("cavalry twill", "wool", "twill", (340, 420), (4400, 7400), "bottom", "a steep double twill that never bags", "trousers and field coats"),
    Fabric("challis", "wool", "smooth", (120, 160), (2900, 4900), "dress", "soft, matt and floating", "tea dresses and scarves"),
    Fabric("chambray", "cotton", "plain", (110, 150), (1100, 1900), "top", "coloured warp and white weft, light as a shirt", "work shirts"),
    Fabric("charmeuse", "silk", "satin", (75, 95), (3900, 6900), "dress", "a liquid drape with a satin face", "bias-cut dresses and camisoles"),
    Fabric("chenille", "cotton", "velvety", (280, 360), (2100, 3600), "top", "plush yarns that feel like velvet", "jumpers"),
    Fabric("chiffon", "silk", "sheer", (30, 50), (2900, 4900), "dress", "a whisper with a faint grain", "overlays and scarves"),
    Fabric("Cool Wool", "wool", "smooth", (150, 190), (3200, 5400), None, "high-twist yarns that breathe and recover", "summer suits"),
    Fabric("covert cloth", "wool", "twill", (380, 460), (5200, 8400), "outerwear", "flecked, firm and rainproof enough", "topcoats"),
    Fabric("crêpe de Chine", "silk", "crinkled", (70, 90), (3600, 5900), "dress", "a dry, pebbled hand with a deep fall", "blouses and slip dresses"),
    Fabric("denim", "cotton", "twill", (340, 460), (1800, 3200), "bottom", "rigid today, yours in a year", "jeans and jackets"),
    Fabric("Donegal tweed", "wool", "slubbed", (360, 440), (4600, 7900), "outerwear", "flecked with every colour of the hill", "sports jackets"),
    Fabric("double gauze", "cotton", "crinkled", (110, 140), (1400, 2200), "top", "two crinkled layers, tacked together", "summer shirts"),
    Fabric("duchesse satin", "silk", "satin", (160, 220), (5900, 10900), "dress", "heavy, lustrous and sculptural", "wedding dresses"),
    Fabric("dupioni", "silk", "slubbed", (90, 130), (3400, 5600), "dress", "crisp with irregular slubs", "full skirts"),
    Fabric("eyelet", "cotton", "openwork", (110, 150), (1600, 2700), "dress", "embroidered holes in crisp cotton", "sundresses"),
    Fabric("fleece-back sweatshirt", "cotton", "napped", (280, 340), (1500, 2300), "top", "smooth outside, brushed inside", "sweatshirts"),
    Fabric("gabardine", "wool", "twill", (240, 320), (3200, 5900), "outerwear", "a tight, smooth twill that sheds rain", "trench coats and suits"),
    Fabric("georgette", "silk", "crinkled", (45, 65), (3100, 5200), "dress", "sheer with a springy bounce", "ruffles and sarees"),
    Fabric("ghillie Harris tweed", "wool", "coarse", (440, 500), (6400, 9400), "outerwear", "handwoven, hairy and good for decades", "overcoats"),
    Fabric("habotai", "silk", "smooth", (30, 50), (1900, 3200), None, "paper-light with a soft glow", "linings and dyeing"),
    Fabric("hopsack", "wool", "basketweave", (260, 320), (3600, 6100), "outerwear", "open, breathable and slow to crease", "travel blazers"),
    Fabric("interlock", "cotton", "smooth", (200, 240), (1300, 2100), "top", "a stable double knit", "polo shirts"),
    Fabric("lambskin nappa", "leather", "smooth", (420, 520), (8900, 15900), "accessory", "buttery and fine-grained", "gloves, bags and skirts"),
    Fabric("loden", "wool", "felted", (420, 500), (4900, 7900), "outerwear", "milled until wind and drizzle give up", "capes and hunting coats"),
    Fabric("loopback French terry", "cotton", "looped", (240, 300), (1500, 2300), "top", "loops inside, comfort everywhere", "lounge sets"),
    Fabric("melton", "wool", "felted", (480, 600), (4600, 7900), "outerwear", "dense, matt and fray-free", "peacoats"),
    Fabric("merino jersey", "wool", "smooth", (170, 210), (2900, 4600), "top", "warm when cold, cool when warm", "base layers and knit dresses"),
    Fabric("mohair suiting", "mohair", "crisp", (230, 280), (5400, 8900), None, "a dry, lively sheen", "evening suits"),
    Fabric("moleskin", "cotton", "napped", (320, 400), (1900, 3200), "bottom", "sueded and windproof", "trousers"),
    Fabric("muslin", "cotton", "plain", (70, 110), (700, 1200), None, "loosely woven and soft", "layers and toiles"),
    Fabric("nep denim", "cotton", "slubbed", (380, 440), (2200, 3600), "bottom", "speckled with small cotton knots", "selvedge jeans"),
    Fabric("organdy", "cotton", "stiff", (50, 70), (1900, 2900), "dress", "sheer and permanently crisp", "collars and structured sleeves"),
    Fabric("organza", "silk", "stiff", (30, 50), (2600, 4400), "dress", "transparent with body", "overskirts"),
    Fabric("ottoman", "cotton", "ribbed", (280, 340), (2400, 3900), "outerwear", "bold crosswise ribs", "opera coats and bags"),
    Fabric("Oxford cloth", "cotton", "basketweave", (130, 170), (1400, 2200), "top", "a soft basketweave with a white weft", "button-down shirts"),
    Fabric("percale", "cotton", "plain", (100, 130), (1100, 1700), "top", "cool, matt and close-woven", "shirts and summer dresses"),
    Fabric("pima poplin", "cotton", "smooth", (105, 130), (1600, 2600), "top", "fine-ribbed and crisp from long-staple yarns", "dress shirts"),
    Fabric("piqué", "cotton", "waffled", (200, 240), (1400, 2300), "top", "a textured knit that lets air through", "polo shirts"),
    Fabric("ponte di Roma", "viscose", "smooth", (280, 340), (1800, 2900), "dress", "a firm double knit that holds its line", "sheath dresses"),
    Fabric("Prince of Wales flannel", "wool", "napped", (320, 380), (4400, 7400), None, "a milled surface, soft as smoke", "winter suits"),
    Fabric("ramie voile", "ramie", "sheer", (70, 90), (2100, 3400), "top", "grassy, cool and lustrous", "tropical shirts"),
    Fabric("raw silk noil", "silk", "nubby", (140, 180), (2600, 4200), None, "matt, nubby and machine-washable", "easy jackets"),
    Fabric("ripstop", "nylon", "gridded", (60, 110), (1300, 2400), "outerwear", "a grid of reinforced yarns", "anoraks and packable bags"),
    Fabric("sateen", "cotton", "satin", (120, 160), (1500, 2500), None, "a smooth face with a gentle glow", "summer trousers and dresses"),
    Fabric("seersucker", "cotton", "puckered", (110, 150), (1400, 2300), "top", "puckered, so it never sticks", "summer jackets and shorts"),
    Fabric("serge", "wool", "twill", (300, 360), (3200, 5400), None, "an even twill with a clear finish", "uniforms and suits"),
    Fabric("shantung", "silk", "slubbed", (80, 120), (3200, 5200), "dress", "fine slubs and a dry rustle", "cocktail dresses"),
    Fabric("Shetland tweed", "wool", "hairy", (320, 400), (4200, 6900), "outerwear", "lofty, light and heathered", "country jackets"),
    Fabric("taffeta", "silk", "crisp", (80, 120), (3100, 5400), "dress", "crisp, with the rustle that announces you", "ball gowns"),
    Fabric("tencel twill", "lyocell", "twill", (180, 230), (1700, 2800), "bottom", "drapes like silk and wears like cotton", "wide trousers"),
    Fabric("terry towelling", "cotton", "looped", (280, 360), (1400, 2300), "other", "thirsty loops on both sides", "beach cover-ups and robes"),
    Fabric("tropical worsted", "wool", "smooth", (180, 230), (3400, 5900), None, "an open plain weave for hot cities", "suits"),
    Fabric("tulle", "nylon", "net", (20, 40), (600, 1200), "dress", "a fine net that stands away from the body", "petticoats and veils"),
    Fabric("velveteen", "cotton", "velvety", (260, 320), (2200, 3600), None, "a short, dense pile", "blazers and pinafores"),
    Fabric("velvet", "silk", "velvety", (200, 260), (5900, 9900), "dress", "a deep pile that drinks the light", "evening wear"),
    Fabric("Venetian wool", "wool", "satin", (260, 320), (3900, 6400), None, "a satin weave with a soft lustre", "coats and skirts"),
    Fabric("voile", "cotton", "sheer", (60, 80), (1100, 1900), "top", "crisp and airy from twisted yarns", "summer blouses"),
    Fabric("washed linen", "linen", "slubbed", (160, 220), (1800, 3100), None, "tumbled until it falls softly", "relaxed suits and shift dresses"),
    Fabric("waxed cotton", "cotton", "waxed", (280, 360), (2900, 4800), "outerwear", "weatherproof, and better with every scratch", "field jackets"),
    Fabric("whipcord", "cotton", "twill", (300, 380), (2100, 3500), "bottom", "a bold diagonal that wears like iron", "work trousers"),
)  # fmt: skip


class Pattern(NamedTuple):
    """A print or weave figure. `cents` is the price of its digital tile; `category` as in Fabric."""

    name: str
    cents: tuple[int, int]
    category: str | None
    about: str


PATTERNS: Final = (
    Pattern("Ankara wax print", (900, 1900), "dress", "Large-scale motifs with the crackle of the wax resist"),
    Pattern("argyle", (500, 1200), "top", "Diamonds crossed by a fine overcheck, after the Campbell tartan"),
    Pattern("asanoha", (700, 1500), None, "The hemp-leaf star of Japanese indigo cloth"),
    Pattern("awning stripe", (400, 900), None, "Broad even stripes, straight from the seafront"),
    Pattern("bandhani", (900, 1900), "accessory", "Thousands of tied dots, each a little different"),
    Pattern("basketweave", (400, 900), None, "Over two, under two, drawn large"),
    Pattern("batik", (900, 1900), None, "Wax-resist motifs with soft, veined edges"),
    Pattern("block print", (700, 1600), "dress", "Hand-cut blocks, with the small misregistrations left in"),
    Pattern("botanical", (600, 1500), "dress", "Leaves and seed heads from a herbarium sheet"),
    Pattern("Breton stripe", (400, 900), "top", "Twenty-one narrow stripes, one for each of Napoleon's victories"),
    Pattern("buffalo check", (400, 1000), "outerwear", "Two colours, big squares, no nonsense"),
    Pattern("camouflage", (500, 1200), "outerwear", "Four-colour disruptive pattern, redrawn from the 1940s"),
    Pattern("chalk stripe", (500, 1200), None, "Soft-edged stripes, as if drawn with tailor's chalk"),
    Pattern("chevron", (400, 1000), None, "Zigzags that match at every seam"),
    Pattern("chintz", (800, 1800), "dress", "Glazed florals on trailing stems"),
    Pattern("damask", (700, 1700), None, "Tone-on-tone scrolls and palmettes"),
    Pattern("ditsy floral", (500, 1200), "dress", "Tiny scattered flowers with no up or down"),
    Pattern("Fair Isle", (700, 1600), "top", "Bands of small repeats, never more than two colours in a row"),
    Pattern("gingham", (400, 900), "top", "The picnic check, in even squares"),
    Pattern("glen plaid", (600, 1400), "outerwear", "Small and large checks that resolve into smoke at a distance"),
    Pattern("Greek key", (500, 1200), "accessory", "An unbroken meander"),
    Pattern("herringbone", (500, 1200), "outerwear", "A broken twill like the bones of a fish"),
    Pattern("houndstooth", (500, 1300), "outerwear", "The four-pointed check of the Scottish Lowlands"),
    Pattern("ikat", (900, 1900), None, "Yarns dyed before weaving, so that every edge blurs"),
    Pattern("jacobean floral", (800, 1800), "dress", "Crewel-work branches with improbable flowers"),
    Pattern("kente", (900, 1900), "accessory", "Strip-woven blocks of warp and weft"),
    Pattern("kilim", (700, 1600), "accessory", "Stepped diamonds from flat-woven rugs"),
    Pattern("leopard", (600, 1500), None, "Rosettes drawn by hand, spaced like the real coat"),
    Pattern("madras", (500, 1200), "top", "Irregular checks that bleed a little, as they should"),
    Pattern("moiré", (600, 1500), "dress", "Watermarks that move as you do"),
    Pattern("nordic snowflake", (500, 1200), "top", "Eight-pointed stars in rows"),
    Pattern("ogee", (600, 1400), None, "Onion-shaped curves in interlocking rows"),
    Pattern("ombré", (400, 1000), "dress", "One colour sliding into another"),
    Pattern("paisley", (700, 1700), "accessory", "The curled boteh, with a filigree of its own"),
    Pattern("pin dot", (300, 800), None, "Dots the size of a pinhead"),
    Pattern("pinstripe", (400, 1000), None, "Hairline stripes an inch apart"),
    Pattern("polka dot", (400, 900), "dress", "Evenly spaced and unapologetic"),
    Pattern("quatrefoil", (500, 1200), None, "Four-lobed tracery"),
    Pattern("regimental stripe", (400, 1000), "accessory", "Diagonals from the left shoulder to the right side"),
    Pattern("sashiko", (700, 1500), None, "Running stitches in white on blue geometry"),
    Pattern("seigaiha", (600, 1400), None, "Overlapping waves, for luck at sea"),
    Pattern("shepherd's check", (400, 1000), "outerwear", "Small twill squares from the Borders"),
    Pattern("shibori", (900, 1900), None, "Folded, bound and dipped; no two repeats alike"),
    Pattern("suzani", (800, 1800), None, "Embroidered suns from Samarkand and Bukhara"),
    Pattern("tartan", (600, 1500), None, "A sett with its pivots in the right places"),
    Pattern("tattersall", (400, 1000), "top", "A thin check in two alternating colours"),
    Pattern("terrazzo", (500, 1200), None, "Chips of colour, scattered by rule"),
    Pattern("tie-dye", (500, 1200), "top", "Spirals with soft rings"),
    Pattern("toile de Jouy", (800, 1800), "dress", "Pastoral scenes engraved in a single colour"),
    Pattern("windowpane", (500, 1200), "outerwear", "A wide, fine check over a plain ground"),
    Pattern("zebra", (600, 1400), None, "Stripes that fork where you don't expect it"),
)
SIZES: Final = ("Micro", "Small-scale", "Classic", "Large-scale", "Oversized")
WIDTHS: Final = (110, 135, 140, 145, 150, 155)
"""Widths in cm at which cloth is woven."""

CLOTH_TAGS: Final = (
    *("bestseller", "breathable", "deadstock", "drapey", "handwoven", "heritage", "limited", "low-impact-dye"),
    *("machine-washable", "new-season", "organic", "recycled", "structured", "summer", "traceable", "winter"),
)
PRINT_TAGS: Final = (
    *("archive", "bold", "classic", "floral-season", "folk", "geometric", "hand-drawn", "heritage"),
    *("mini-repeat", "new-season", "seamless", "summer", "two-tone", "winter"),
)
