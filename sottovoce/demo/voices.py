"""espeak-ng's voices, parted into those that train a recogniser and those that judge it.

A voice is an accent spoken with a variant, "en-us+f3": the variant gives timbre and pitch.
Variants that resemble one another (gene and gene2, say) stand in the same part, or the dev voices
would be known ones; whispers, robots and distorted variants are left out.
"""

from itertools import cycle

ACCENTS = (
    "en-us",
    "en-us-nyc",
    "en",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
)

TRAIN_VARIANTS = (
    *("f1", "f3", "f4", "m1", "m3", "m5", "m6", "m7", "m8"),
    *("adam", "Alex", "Andrea", "anika", "announcer", "antonio", "aunty", "benjamin", "Denis"),
    *("Diogo", "ed", "edward", "edward2", "Gene", "Gene2", "grandma", "grandpa", "gustave"),
    *("Henrique", "Hugo", "ian", "iven2", "iven3", "iven4", "john", "klatt3", "klatt4", "klatt5"),
    *("klatt6", "Marco", "Mario", "max", "Michael", "michel", "miguel", "Mike", "mike2"),
    *("Nguyen", "norbert", "paul", "Reed", "RicishayMax", "RicishayMax2", "RicishayMax3", "rob"),
    *("robert", "sandro", "steph", "steph2", "steph3", "Storm", "zac"),
)

DEV_VARIANTS = (
    *("f2", "f5", "m2", "m4", "Alicia", "Andy", "Annie", "belinda", "boris", "david"),
    *("kaukovalta", "Lee", "linda", "marcelo", "pablo", "pedro", "quincy", "shelby", "travis"),
    "victor",
)

TRAIN_VOICES = tuple(f"{accent}+{variant}" for variant in TRAIN_VARIANTS for accent in ACCENTS)

# One accent each: a variant heard in two accents would count as two speakers, and is one.
DEV_VOICES = tuple(
    f"{accent}+{variant}" for accent, variant in zip(cycle(ACCENTS), DEV_VARIANTS, strict=False)
)
