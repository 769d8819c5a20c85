"""The whole loop, unattended, on a drift that hurts: from the alarm to the promotion, and what recall was all the while."""
