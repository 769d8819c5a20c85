"""The fraud scenarios, one a module; a draft's `scenario` and a label's name come from here."""

from typing import Final

from generator.scenarios.account_takeover import ACCOUNT_TAKEOVER
from generator.scenarios.card_testing import CARD_TESTING
from generator.scenarios.impossible_travel import IMPOSSIBLE_TRAVEL
from generator.scenarios.scenario import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (CARD_TESTING, ACCOUNT_TAKEOVER, IMPOSSIBLE_TRAVEL)
