"""The fraud scenarios, one a module; a draft's `scenario` and a label's name come from here."""

from typing import Final

from generator.scenarios.account_takeover import ACCOUNT_TAKEOVER
from generator.scenarios.bust_out import BUST_OUT
from generator.scenarios.card_testing import CARD_TESTING
from generator.scenarios.category_shift import CATEGORY_SHIFT
from generator.scenarios.compromised_merchant import COMPROMISED_MERCHANT
from generator.scenarios.friendly_fraud import FRIENDLY_FRAUD
from generator.scenarios.impossible_travel import IMPOSSIBLE_TRAVEL
from generator.scenarios.merchant_collusion import MERCHANT_COLLUSION
from generator.scenarios.mule_transfers import MULE_TRANSFERS
from generator.scenarios.rogue_shop import ROGUE_SHOP
from generator.scenarios.scenario import Scenario
from generator.scenarios.synthetic_identity import SYNTHETIC_IDENTITY
from generator.scenarios.terminal_takeover import TERMINAL_TAKEOVER
from generator.scenarios.web_skimmer import WEB_SKIMMER

SCENARIOS: Final[tuple[Scenario, ...]] = (
    CARD_TESTING,
    ACCOUNT_TAKEOVER,
    IMPOSSIBLE_TRAVEL,
    COMPROMISED_MERCHANT,
    BUST_OUT,
    MERCHANT_COLLUSION,
    SYNTHETIC_IDENTITY,
    MULE_TRANSFERS,
    FRIENDLY_FRAUD,
    TERMINAL_TAKEOVER,
    WEB_SKIMMER,
    ROGUE_SHOP,
    CATEGORY_SHIFT,
)
